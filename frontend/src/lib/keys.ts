/**
 * The one registry of keys: what a page or the shell offers, and what `?` lists.
 *
 * A key is written as it is read: `?`, `j`, `g o` (one after the other), `Mod+k` (Ctrl, or Command on a
 * Mac). Nothing but `Mod+…` and Escape works while somebody types.
 */

export interface Key {
  keys: string;
  label: string;
  section: string;
  run: () => void;
}

/** Between the two keys of a sequence, in milliseconds. */
const SEQUENCE = 1_200;

let registered: Key[] = [];
let pending = '';
let pendingSince = 0;

/** Adds keys; the function returned takes them away. Later ones win over earlier ones. */
export function register(...keys: Key[]): () => void {
  registered = [...registered, ...keys];
  return () => {
    registered = registered.filter((key) => !keys.includes(key));
  };
}

/** What there is now, as `?` lists it. */
export function listKeys(): readonly Key[] {
  return registered;
}

/** The name of the key of an event; empty for modifiers alone. */
export function nameOf(event: KeyboardEvent): string {
  if (['Shift', 'Control', 'Alt', 'Meta', 'Dead', 'Process'].includes(event.key)) return '';
  const name = event.key.length === 1 ? event.key : event.key;
  if (event.ctrlKey || event.metaKey) return event.altKey ? '' : `Mod+${name.toLowerCase()}`;
  return event.altKey ? '' : name;
}

function typing(target: EventTarget | null): boolean {
  const element = target instanceof HTMLElement ? target : null;
  return !!element?.closest(
    'input:not([type=checkbox]):not([type=radio]), textarea, select, [contenteditable]',
  );
}

export function handleKey(event: KeyboardEvent): void {
  if (event.defaultPrevented || event.isComposing) return;
  const name = nameOf(event);
  if (!name) return;
  if (typing(event.target) && !name.startsWith('Mod+')) return;
  // A dialog has its own keys.
  if (document.querySelector('dialog[open]') && !name.startsWith('Mod+')) return;
  const sequence = pending && event.timeStamp - pendingSince < SEQUENCE ? `${pending} ${name}` : '';
  const found =
    (sequence && registered.findLast((key) => key.keys === sequence)) ||
    registered.findLast((key) => key.keys === name);
  pending = '';
  if (found) {
    event.preventDefault();
    found.run();
  } else if (registered.some((key) => key.keys.startsWith(`${name} `))) {
    pending = name;
    pendingSince = event.timeStamp;
  }
}
