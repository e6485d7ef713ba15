/** How it is, as one sentence: for the top of a page, the wall and the tab. */
import type { Counts } from './types';

export interface Situation {
  /** Empty where all is well. */
  grave: string[];
  minor: string[];
}

/** `1 host`, `2,300 hosts`. */
export const many = (count: number, one: string, more: string) =>
  `${count.toLocaleString()} ${count === 1 ? one : more}`;

export function situation(hosts: Counts, probes: Counts): Situation {
  const grave: string[] = [];
  const minor: string[] = [];
  if (hosts.Down) grave.push(many(hosts.Down, 'host down', 'hosts down'));
  if (probes.Error) grave.push(many(probes.Error, 'probe failing', 'probes failing'));
  // "6 probes failing and 13 critical": the word is not said twice.
  if (probes.Crit && probes.Error) grave.push(`${probes.Crit.toLocaleString()} critical`);
  else if (probes.Crit) grave.push(many(probes.Crit, 'probe critical', 'probes critical'));
  if (probes.Warn) minor.push(many(probes.Warn, 'warning', 'warnings'));
  if (hosts.Unknown) minor.push(many(hosts.Unknown, 'host unknown', 'hosts unknown'));
  if (hosts.Stopped) minor.push(many(hosts.Stopped, 'host stopped', 'hosts stopped'));
  return { grave, minor };
}

/** `a, b and c`. */
export function listed(parts: string[]): string {
  if (parts.length < 2) return parts[0] ?? '';
  return `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`;
}

/** The sentence for a heading. */
export function headline(hosts: Counts, probes: Counts): string {
  const { grave, minor } = situation(hosts, probes);
  if (grave.length) return listed(grave);
  if (minor.length) return listed(minor);
  return 'All is well';
}

/** A message as a sentence: its first letter large, and a full stop. */
export function sentence(text: string): string {
  const end = /[.!?…]$/.test(text) ? '' : '.';
  return text.charAt(0).toUpperCase() + text.slice(1) + end;
}
