/** Light or dark: as the system says, or as chosen here. */

export type Theme = 'system' | 'light' | 'dark';
const KEY = 'wigo.theme';

let theme = $state<Theme>(load());

export const appearance = {
  get theme(): Theme {
    return theme;
  },
  set theme(next: Theme) {
    theme = next;
    try {
      localStorage.setItem(KEY, next);
    } catch {
      // Storage is off: the choice lasts as long as the page.
    }
    apply();
  },
};

function load(): Theme {
  try {
    const saved = localStorage.getItem(KEY);
    if (saved === 'light' || saved === 'dark') return saved;
  } catch {
    // As above.
  }
  return 'system';
}

export function apply(): void {
  if (theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}
