/** The scale on which everything is measured: from a number to a level, a word and a shape. */
import type { Counts, Presence } from './types';

/** What can be said of a host or a probe: a level of the scale, or why there is none. */
export type Level =
  'ok' | 'info' | 'warn' | 'crit' | 'error' | 'down' | 'unknown' | 'stopped' | 'stale';

/** From worst to best, as lists are sorted. */
export const LEVELS: readonly Level[] = [
  'down',
  'error',
  'crit',
  'warn',
  'info',
  'unknown',
  'stopped',
  'stale',
  'ok',
];

const WORDS: Record<Level, string> = {
  ok: 'OK',
  info: 'Info',
  warn: 'Warning',
  crit: 'Critical',
  error: 'Error',
  down: 'Down',
  unknown: 'Unknown',
  stopped: 'Stopped',
  stale: 'Stale',
};

/** 100 OK, 101–199 INFO, 200–299 WARN, 300–499 CRIT, 500–998 ERROR, 999 DOWN; else unknown. */
export function levelOf(status: number | null | undefined): Level {
  if (status === null || status === undefined || !(status >= 100)) return 'unknown';
  if (status === 100) return 'ok';
  if (status < 200) return 'info';
  if (status < 300) return 'warn';
  if (status < 500) return 'crit';
  if (status < 999) return 'error';
  return 'down';
}

/** What is to be shown for a host: its presence where it is not alive, else its status. */
export function levelOfHost(host: { Presence: Presence; Status: number }): Level {
  return host.Presence === 'alive' ? levelOf(host.Status) : host.Presence;
}

export function wordOf(level: Level): string {
  return WORDS[level];
}

/** How many of a level there are. */
export function countOf(counts: Counts, level: Level): number {
  switch (level) {
    case 'ok':
      return counts.Ok;
    case 'info':
      return counts.Info;
    case 'warn':
      return counts.Warn;
    case 'crit':
      return counts.Crit;
    case 'error':
      return counts.Error;
    case 'down':
      return counts.Down;
    case 'unknown':
      return counts.Unknown;
    case 'stopped':
      return counts.Stopped;
    case 'stale':
      return counts.Stale;
  }
}

/** The word that a level has in the parameters of the API; what is no level there is a presence. */
export function isPresence(level: Level): boolean {
  return level === 'down' || level === 'unknown' || level === 'stopped';
}

/** Sorts worst first, then newest first. */
export function worstFirst(
  a: { Status: number; Since: number },
  b: { Status: number; Since: number },
): number {
  return b.Status - a.Status || b.Since - a.Since;
}

/** The level of an entry of the log. */
export function levelOfEntry(entry: { Kind: string; Now: number | null; Level: number }): Level {
  switch (entry.Kind) {
    case 'instance_down':
      return 'down';
    case 'agent_stopped':
    case 'instance_gone':
    case 'probe_gone':
      return 'stopped';
  }
  if (entry.Now !== null) return levelOf(entry.Now);
  return (
    ({ 3: 'info', 4: 'error', 5: 'warn', 6: 'crit' } as Record<number, Level>)[entry.Level] ?? 'ok'
  );
}
