/** What a probe said beyond its message: as a table where its shape allows. */

export type Scalar = string | number | boolean | null;
export type DetailShape =
  | { kind: 'nothing' }
  | { kind: 'pairs'; rows: [name: string, value: Scalar][] }
  | { kind: 'table'; columns: string[]; rows: Scalar[][] }
  | { kind: 'list'; items: Scalar[] }
  | { kind: 'raw' };

/** What is larger is shown as JSON: a table of it helps nobody. */
const MOST_ROWS = 200;
const MOST_COLUMNS = 12;

function isScalar(value: unknown): value is Scalar {
  return value === null || ['string', 'number', 'boolean'].includes(typeof value);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function shapeOf(detail: unknown): DetailShape {
  if (detail === null || detail === undefined || detail === '') return { kind: 'nothing' };
  if (isScalar(detail)) return { kind: 'list', items: [detail] };
  if (Array.isArray(detail)) return shapeOfList(detail);
  if (!isRecord(detail)) return { kind: 'raw' };
  const entries = Object.entries(detail);
  if (entries.length === 0) return { kind: 'nothing' };
  if (entries.length <= MOST_ROWS && entries.every(([, value]) => isScalar(value)))
    return { kind: 'pairs', rows: entries as [string, Scalar][] };
  // An object of flat objects is a table whose first column is the name.
  if (entries.every(([, value]) => isRecord(value))) {
    const named = entries.map(([name, value]) => ({ name, ...(value as Record<string, unknown>) }));
    const clash = entries.some(([, value]) => 'name' in (value as object));
    return clash ? { kind: 'raw' } : shapeOfList(named);
  }
  return { kind: 'raw' };
}

function shapeOfList(list: unknown[]): DetailShape {
  if (list.length === 0) return { kind: 'nothing' };
  if (list.length > MOST_ROWS) return { kind: 'raw' };
  if (list.every(isScalar)) return { kind: 'list', items: list };
  if (!list.every(isRecord)) return { kind: 'raw' };
  const flat = list.map(flatten);
  const columns = [...new Set(flat.flatMap((row) => Object.keys(row)))];
  if (columns.length > MOST_COLUMNS) return { kind: 'raw' };
  if (!flat.every((row) => Object.values(row).every(isScalar))) return { kind: 'raw' };
  const rows = flat.map((row) => columns.map((column) => (row[column] ?? null) as Scalar));
  return { kind: 'table', columns, rows };
}

/** Objects within a row become columns: `{Tags: {disk: "sda"}}` is `Tags.disk`. One level deep. */
function flatten(row: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(row).flatMap(([name, value]): [string, unknown][] =>
      isRecord(value)
        ? Object.entries(value).map(([inner, one]) => [`${name}.${inner}`, one])
        : [[name, value]],
    ),
  );
}
