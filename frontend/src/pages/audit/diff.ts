/** What a change did, from what was before and after: only what differs, field by field. */
import { clock, duration } from '../../lib/time';

export interface Difference {
  /** The way to the field: `Probes.disk.Interval`; empty for the whole. */
  field: string;
  /** As text; null where there was none. */
  before: string | null;
  after: string | null;
}

/** How deep is looked into; what lies deeper is compared as a whole. */
const DEPTH = 4;
/** Differences shown at most. */
export const MOST = 50;

export function differences(before: unknown, after: unknown): Difference[] {
  const found: Difference[] = [];
  walk('', before, after, DEPTH, found);
  return found;
}

function walk(field: string, before: unknown, after: unknown, depth: number, found: Difference[]) {
  if (found.length >= MOST || same(before, after)) return;
  const [was, is] = [plain(before), plain(after)];
  const splits = depth > 0 && (was || before == null) && (is || after == null) && (was || is);
  if (!splits) {
    found.push({ field, before: text(before, field), after: text(after, field) });
    return;
  }
  for (const name of new Set([...Object.keys(was ?? {}), ...Object.keys(is ?? {})])) {
    walk(field ? `${field}.${name}` : name, was?.[name], is?.[name], depth - 1, found);
  }
}

function plain(value: unknown): Record<string, unknown> | null {
  const fits = typeof value === 'object' && value !== null && !Array.isArray(value);
  return fits ? (value as Record<string, unknown>) : null;
}

function same(a: unknown, b: unknown): boolean {
  return a === b || (nothing(a) && nothing(b)) || JSON.stringify(a) === JSON.stringify(b);
}

/** What was not there is no other than what is empty. */
function nothing(value: unknown): boolean {
  return value === null || value === undefined || value === '' || value === 0;
}

/** Unix seconds from which a number in a field of that name is a time. */
const A_TIME = 1_000_000_000;

/** A value for people, by the name of its field; null for none. */
export function text(value: unknown, field = ''): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value === 'number') {
    if (value > A_TIME && /(At|Until|Used)$/.test(field)) return clock(value, Date.now() / 1000);
    if (/(^|\.)(For|Interval|Seconds)$/.test(field)) return duration(value);
  }
  return typeof value === 'string' ? value : JSON.stringify(value);
}

export type Outcome = 'done' | 'waiting' | 'begun' | 'refused';

/** The outcome and why: `refused: no such host`. */
export function outcomeOf(outcome: string): { word: Outcome; why: string } {
  const at = outcome.indexOf(':');
  const word = (at < 0 ? outcome : outcome.slice(0, at)).trim();
  const why = at < 0 ? '' : outcome.slice(at + 1).trim();
  if (word === 'done' || word === 'waiting' || word === 'begun') return { word, why };
  return { word: 'refused', why: word === 'refused' ? why : outcome };
}
