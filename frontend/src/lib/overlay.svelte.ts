/** What lies over the page: the palette (Ctrl-K) or the list of keys (`?`). */

export type Overlay = 'palette' | 'help';

let shown = $state<Overlay | null>(null);

export const overlay = {
  get shown(): Overlay | null {
    return shown;
  },
  open(which: Overlay): void {
    shown = which;
  },
  close(): void {
    shown = null;
  },
};
