/** Short words about what was just done. */

export interface Toast {
  id: number;
  text: string;
  tone: 'done' | 'trouble';
}

/** How long a word about something done stays, in milliseconds; trouble stays until closed. */
const STAYS = 6_000;
const MOST = 4;

let toasts = $state.raw<Toast[]>([]);
let lastId = 0;

export const toast = {
  get all(): Toast[] {
    return toasts;
  },
  done(text: string): void {
    const id = add(text, 'done');
    setTimeout(() => toast.close(id), STAYS);
  },
  trouble(text: string): void {
    add(text, 'trouble');
  },
  close(id: number): void {
    toasts = toasts.filter((one) => one.id !== id);
  },
};

function add(text: string, tone: Toast['tone']): number {
  lastId += 1;
  toasts = [...toasts, { id: lastId, text, tone }].slice(-MOST);
  return lastId;
}
