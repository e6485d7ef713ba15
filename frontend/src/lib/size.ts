/** Amounts for people. */

const UNITS = ['KiB', 'MiB', 'GiB', 'TiB'];

/** `812 B`, `41.2 MiB`: three digits at most beside the unit. */
export function bytes(count: number): string {
  if (!(count >= 1024)) return `${Math.max(0, Math.round(count || 0))} B`;
  let value = count;
  let unit = '';
  for (const next of UNITS) {
    if (value < 1024) break;
    value /= 1024;
    unit = next;
  }
  return `${value < 100 ? value.toFixed(1) : Math.round(value).toLocaleString()} ${unit}`;
}
