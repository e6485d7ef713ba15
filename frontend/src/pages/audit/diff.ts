/** What a change did, from what was before and after: only what differs, field by field. */

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
    found.push({ field, before: text(before), after: text(after) });
    return;
  }
  for (const name of new Set([...Object.keys(was ?? {}), ...Object.keys(is ?? {})])) {
    walk(field ? `${field}.${name}` : name, was?.[name], is?.[name], depth - 1, found);
  }
}

function plain(value: unknown): Record<string, unknown> | null {
  const fits = typeof value === 'object' && value !== null && !Array.isArray(value);
  return fits && Object.keys(value).length > 0 ? (value as Record<string, unknown>) : null;
}

function same(a: unknown, b: unknown): boolean {
  return a === b || (a == null && b == null) || JSON.stringify(a) === JSON.stringify(b);
}

/** A value for people; null for none. */
export function text(value: unknown): string | null {
  if (value === null || value === undefined) return null;
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
