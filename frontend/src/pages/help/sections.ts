/** The keys as they are listed: by section, each key once. */
import type { Key } from '../../lib/keys';

type Listed = Pick<Key, 'keys' | 'label' | 'section'>;

/** Keys that the browser gives, or that belong to what is open. */
const OTHERS: Listed[] = [
  { keys: 'Enter', label: 'Open the row', section: 'Lists' },
  { keys: 'Esc', label: 'Close, or leave a field', section: 'Everywhere' },
];

const ORDER = ['Everywhere', 'Go to', 'Lists'];

export function sections(registered: readonly Listed[]): { name: string; keys: Listed[] }[] {
  // A later one wins over an earlier one of the same keys.
  const byKeys = new Map<string, Listed>();
  for (const key of [...registered, ...OTHERS]) byKeys.set(key.keys, key);
  const bySection = new Map<string, Listed[]>(ORDER.map((name) => [name, []]));
  for (const key of byKeys.values()) {
    bySection.set(key.section, [...(bySection.get(key.section) ?? []), key]);
  }
  return [...bySection]
    .filter(([, keys]) => keys.length > 0)
    .map(([name, keys]) => ({ name, keys }));
}
