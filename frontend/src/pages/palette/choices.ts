/** What the palette offers for what was typed. */
import { href } from '../../lib/base';
import type { Incident } from '../../lib/notify-types';
import type { Level } from '../../lib/status';
import { levelOf, levelOfHost } from '../../lib/status';
import { links } from '../../lib/router.svelte';
import type { SearchResult } from '../../lib/types';

export interface Choice {
  section: 'Pages' | 'Hosts' | 'Probes' | 'Groups' | 'Incidents' | 'Log';
  href: string;
  title: string;
  /** What stands beside the title, weaker. */
  beside: string;
  level?: Level;
  /** Keys that lead there as well. */
  keys?: string;
}

/** A page that can be gone to. */
export interface Target {
  path: string;
  title: string;
  keys: string;
}

/** Pages whose title begins with the text; all of them for no text. */
export function pageChoices(targets: readonly Target[], typed: string): Choice[] {
  const q = typed.trim().toLowerCase();
  return targets
    .filter((target) => target.title.toLowerCase().startsWith(q))
    .map(({ path, title, keys }) => ({
      section: 'Pages',
      href: href(path),
      title,
      beside: '',
      keys,
    }));
}

/** Most incidents that are offered. */
const INCIDENTS = 5;

/** Open incidents with the text in their title, worst first. */
export function incidentChoices(
  open: readonly Pick<Incident, 'Id' | 'Title' | 'Status' | 'Ack'>[],
  typed: string,
): Choice[] {
  const q = typed.trim().toLowerCase();
  if (q === '') return [];
  return open
    .filter((one) => one.Title.toLowerCase().includes(q))
    .slice(0, INCIDENTS)
    .map((one) => ({
      section: 'Incidents',
      href: links.incident(one.Id),
      title: one.Title,
      beside: one.Ack ? `${one.Ack.Author} looks after it` : '',
      level: levelOf(one.Status),
    }));
}

/** What the server found, as it sorted it. */
export function foundChoices(found: SearchResult): Choice[] {
  const hosts = found.Hosts.map<Choice>((host) => ({
    section: 'Hosts',
    href: links.host(host.Key),
    title: host.Name,
    beside: host.Group,
    level: levelOfHost(host),
  }));
  const probes = found.Probes.map<Choice>((probe) => ({
    section: 'Probes',
    href: links.probe(probe.Host, probe.Name),
    title: probe.Name,
    beside: probe.HostName,
    level: probe.Stale ? 'stale' : levelOf(probe.Status),
  }));
  const groups = found.Groups.map<Choice>((group) => ({
    section: 'Groups',
    href: links.group(group.Name),
    title: group.Name,
    beside: '',
    level: levelOf(group.Status),
  }));
  return [...hosts, ...probes, ...groups];
}

/** The log as the last resort. */
export function logChoices(typed: string): Choice[] {
  const q = typed.trim();
  return q ? [{ section: 'Log', href: links.logs({ q }), title: q, beside: 'in the log' }] : [];
}

/** The next choice in a direction; it goes round at the ends. */
export function step(at: number, by: number, count: number): number {
  return count === 0 ? -1 : (at + by + count) % count;
}
