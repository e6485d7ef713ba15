/** What holds messages of a host or a probe back. */
import type { Suppression, Suppressions, Window } from '../../lib/notify-types';

export interface Place {
  /** The name of the host. */
  host: string;
  group: string;
  labels: Record<string, string>;
  /** Absent: the host with all its probes. */
  probe?: string | undefined;
}

type Covering = Pick<Suppression, 'Scope' | 'Target' | 'Probe'>;

/** `env=prod,role=db` as pairs. */
export function parseLabels(text: string): Record<string, string> {
  const pairs = text.split(',').flatMap((part) => {
    const at = part.indexOf('=');
    const name = part.slice(0, Math.max(at, 0)).trim();
    return name ? [[name, part.slice(at + 1).trim()] as const] : [];
  });
  return Object.fromEntries(pairs);
}

/** The same, as the API takes it: no space between. */
export function labelText(text: string): string {
  return Object.entries(parseLabels(text))
    .map(([name, value]) => `${name}=${value}`)
    .join(',');
}

/** Whether something is about this place: the host, or the probe. A host is told of what covers one probe too. */
export function covers(one: Covering, place: Place): boolean {
  if (place.probe !== undefined && one.Probe !== '' && one.Probe !== place.probe) return false;
  switch (one.Scope) {
    case 'all':
      return true;
    case 'host':
      return one.Target === place.host;
    case 'group':
      return one.Target === place.group;
    case 'labels': {
      const wanted = Object.entries(parseLabels(one.Target));
      return wanted.length > 0 && wanted.every(([name, value]) => place.labels[name] === value);
    }
  }
}

export interface HeldHere {
  suppressions: Suppression[];
  windows: Window[];
  /** Names of its probes that flap; empty for the host itself. */
  flapping: string[];
  /** What is down before it. */
  behind: string[];
}

/** What of all that is held back is about this place. */
export function heldHere(all: Suppressions, place: Place): HeldHere {
  const probes = all.Flapping.map(subjectOf).filter((one) => one.host === place.host);
  return {
    suppressions: all.Suppressions.filter((one) => covers(one, place)),
    windows: all.Windows.filter((one) => covers(one, place)),
    flapping: probes
      .map((one) => one.probe)
      .filter((probe) => place.probe === undefined || probe === place.probe),
    behind: all.BehindSomethingDown.filter((one) => one.Host === place.host).map(
      (one) => one.Behind,
    ),
  };
}

/** `host/probe` taken apart: a probe is a file, so only the host can have a slash in its name. */
export function subjectOf(text: string): { host: string; probe: string } {
  const at = text.lastIndexOf('/');
  return at < 0
    ? { host: text, probe: '' }
    : { host: text.slice(0, at), probe: text.slice(at + 1) };
}

/** Whom something covers, in words: `disk on db1`, `group web`, `hosts with env=prod`. */
export function whom(one: Covering): string {
  const probe = one.Probe ? `${one.Probe} on ` : '';
  switch (one.Scope) {
    case 'all':
      return one.Probe ? `${one.Probe} on all hosts` : 'everything';
    case 'host':
      return `${probe}${one.Target}`;
    case 'group':
      return `${probe}group ${one.Target}`;
    case 'labels':
      return `${probe}hosts with ${one.Target}`;
  }
}
