/** Which entries of the log are shown: filters, and the merging of what comes by two ways. */
import { levelOfEntry, type Level } from '../../lib/status';
import type { Scope } from '../../lib/live';
import type { LogEntry } from '../../lib/types';

export interface LogFilter {
  hostname: string;
  group: string;
  probe: string;
  /** The least level that is shown; empty: all. */
  level: string;
  /** Unix seconds; empty: no bound. */
  since: string;
  until: string;
  q: string;
}

export function readFilter(query: URLSearchParams): LogFilter {
  const of = (name: string) => query.get(name) ?? '';
  return {
    hostname: of('hostname'),
    group: of('group'),
    probe: of('probe'),
    level: of('level'),
    since: of('since'),
    until: of('until'),
    q: of('q'),
  };
}

/** What the event stream is asked for. */
export function scopeOf({ hostname, group, probe }: LogFilter): Scope {
  return {
    scope: 'logs',
    ...(hostname && { hostname }),
    ...(group && { group }),
    ...(probe && { probe }),
  };
}

const RANK: Partial<Record<Level, number>> = { info: 1, warn: 2, crit: 3, error: 4, down: 5 };

/** Whether the level and the text of an entry from the event stream fit, as the server does for its list. */
export function matches(entry: LogEntry, filter: LogFilter): boolean {
  const least = RANK[filter.level as Level] ?? 0;
  if (least > 0 && (RANK[levelOfEntry(entry)] ?? 0) < least) return false;
  if (filter.q) {
    const q = filter.q.toLowerCase();
    const fields = [entry.Message, entry.Host, entry.Probe, entry.Group];
    if (!fields.some((field) => field.toLowerCase().includes(q))) return false;
  }
  return true;
}

/** Whether an entry that comes by the event stream lies in the time asked for. */
export function inTime(entry: LogEntry, { since, until }: LogFilter): boolean {
  return (
    (!since || entry.Timestamp >= Number(since)) && (!until || entry.Timestamp < Number(until))
  );
}

/** Both lists, each entry once, the newest first: by the order in which this instance learned of them. */
export function merge(some: readonly LogEntry[], others: readonly LogEntry[]): LogEntry[] {
  const byId = new Map<number, LogEntry>();
  for (const entry of some) byId.set(entry.Id, entry);
  for (const entry of others) byId.set(entry.Id, entry);
  return [...byId.values()].sort((a, b) => b.Id - a.Id);
}
