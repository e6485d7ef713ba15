/** How it was over a time: from a list of changes to stretches of one level each. */
import { levelOf, LEVELS, type Level } from './status';
import type { Timeline, TimelineChange } from './types';

export interface Stretch {
  /** Unix seconds. */
  from: number;
  to: number;
  level: Level;
  /** Nobody watched: hatched. The level says what is known of why. */
  unwatched: boolean;
  /** What it was about: the worst probe, or the message of the change. */
  cause: string;
}

const BACK = new Set(['agent_started', 'instance_seen', 'instance_up']);
const AWAY: Record<string, Level> = {
  agent_stopped: 'stopped',
  instance_gone: 'stopped',
  instance_down: 'down',
};
/** More stretches than a bar has room for are summed up. */
const MOST = 600;

/** The stretches from the start to the end, without gaps. `now`: nothing is claimed of what lies ahead. */
export function stretches(timeline: Timeline, now: number): Stretch[] {
  const end = Math.min(timeline.Until, now);
  const probes = new Map(Object.entries(timeline.ProbesAtStart));
  let away: Level | null = timeline.StoppedAtStart ? 'stopped' : null;
  let seen = timeline.StatusAtStart >= 0 || probes.size > 0;
  let at = timeline.Since;
  const found: Stretch[] = [];

  const close = (to: number) => {
    if (to <= at) return;
    add(found, { from: at, to, ...stateOf(timeline.Probe, probes, away, seen) });
    at = to;
  };
  for (const change of timeline.Changes) {
    close(Math.min(change.At, end));
    if (BACK.has(change.Kind)) away = null;
    else if (AWAY[change.Kind]) away = AWAY[change.Kind] ?? null;
    if (change.Probe !== '') seen = apply(probes, change) || seen;
  }
  if (timeline.Truncated) {
    // What follows the last change that was told is not known.
    if (end > at)
      add(found, { from: at, to: end, level: 'unknown', unwatched: true, cause: 'not told' });
  } else close(end);
  return found.length > MOST ? summed(found, timeline.Since, end) : found;
}

/** False for what tells of a probe, but not how it is, such as an order. */
function apply(probes: Map<string, number>, change: TimelineChange): boolean {
  if (change.Now !== null) probes.set(change.Probe, change.Now);
  else if (change.Kind === 'probe_gone') probes.delete(change.Probe);
  else return false;
  return true;
}

function stateOf(
  probe: string,
  probes: Map<string, number>,
  away: Level | null,
  seen: boolean,
): Pick<Stretch, 'level' | 'unwatched' | 'cause'> {
  if (away) return { level: away, unwatched: true, cause: '' };
  if (!seen) return { level: 'unknown', unwatched: true, cause: 'not seen yet' };
  // Where all probes are meant, a host without any is well; one probe that is off is not.
  if (probe && probes.size === 0) return { level: 'stopped', unwatched: true, cause: 'not run' };
  let worst = 100;
  let cause = '';
  for (const [name, status] of probes) {
    if (status > worst) [worst, cause] = [status, name];
  }
  return { level: levelOf(worst), unwatched: false, cause };
}

/** Appends, or lengthens the last one where it goes on. */
function add(found: Stretch[], next: Stretch): void {
  const last = found.at(-1);
  const same =
    last &&
    last.level === next.level &&
    last.unwatched === next.unwatched &&
    last.cause === next.cause &&
    last.to === next.from;
  if (same) last.to = next.to;
  else found.push(next);
}

/** As many stretches as fit; in each part the worst that was in it. */
function summed(found: Stretch[], from: number, to: number): Stretch[] {
  const step = (to - from) / MOST;
  const result: Stretch[] = [];
  let index = 0;
  for (let part = 0; part < MOST; part += 1) {
    const [start, end] = [from + part * step, from + (part + 1) * step];
    while ((found[index]?.to ?? Infinity) <= start) index += 1;
    let worst = found[index];
    for (let next = index; (found[next]?.from ?? Infinity) < end; next += 1) {
      const one = found[next];
      if (one && worst && LEVELS.indexOf(one.level) < LEVELS.indexOf(worst.level)) worst = one;
    }
    if (worst) add(result, { ...worst, from: start, to: end });
  }
  return result;
}

export interface Share {
  level: Level;
  unwatched: boolean;
  seconds: number;
  share: number;
}

/** How much of the time each level had, worst first. */
export function shares(of: readonly Stretch[]): Share[] {
  const sums = new Map<string, Share>();
  let total = 0;
  for (const { from, to, level: found, unwatched } of of) {
    // Why nobody watched matters little for how long that was, unless the host was down.
    const level = unwatched && found !== 'down' ? 'unknown' : found;
    const key = `${level} ${unwatched}`;
    const sum = sums.get(key) ?? { level, unwatched, seconds: 0, share: 0 };
    sum.seconds += to - from;
    total += to - from;
    sums.set(key, sum);
  }
  const all = [...sums.values()].map((sum) => ({ ...sum, share: sum.seconds / total }));
  return all.sort((a, b) => LEVELS.indexOf(a.level) - LEVELS.indexOf(b.level));
}

/** Round steps between marks on the axis, in seconds. */
const STEPS = [
  300, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 432_000, 864_000,
];

/** Where marks stand on the axis: at round local times, `most` of them at the most. */
export function ticks(from: number, to: number, most: number, offsetMinutes: number): number[] {
  const step = STEPS.find((step) => (to - from) / step <= most) ?? 864_000;
  const shift = offsetMinutes * 60;
  const first = Math.ceil((from - shift) / step) * step + shift;
  const found: number[] = [];
  for (let at = first; at < to; at += step) found.push(at);
  return found;
}
