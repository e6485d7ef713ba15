import { afterEach, expect, it, vi } from 'vitest';
import { handleKey, register } from './keys';

let forget = () => {};
afterEach(() => forget());

function press(key: string, more: KeyboardEventInit = {}, target: EventTarget = document.body) {
  const event = new KeyboardEvent('keydown', { key, bubbles: true, cancelable: true, ...more });
  Object.defineProperty(event, 'target', { value: target });
  handleKey(event);
  return event;
}
const key = (keys: string, run: () => void) => ({ keys, run, label: '', section: '' });

it('knows single keys, sequences and Ctrl', () => {
  const [help, overview, palette] = [vi.fn(), vi.fn(), vi.fn()];
  forget = register(key('?', help), key('g o', overview), key('Mod+k', palette));
  press('?');
  press('g');
  press('o');
  press('k', { ctrlKey: true });
  press('o');
  expect([help, overview, palette].map((run) => run.mock.calls.length)).toEqual([1, 1, 1]);
});

it('leaves who types alone, except for Ctrl', () => {
  const [next, palette] = [vi.fn(), vi.fn()];
  forget = register(key('j', next), key('Mod+k', palette));
  const input = document.createElement('input');
  document.body.append(input);
  expect(press('j', {}, input).defaultPrevented).toBe(false);
  press('k', { metaKey: true }, input);
  expect(next).not.toHaveBeenCalled();
  expect(palette).toHaveBeenCalledOnce();
});

it('the newest of two with the same key wins, and is forgotten', () => {
  const [shell, page] = [vi.fn(), vi.fn()];
  forget = register(key('f', shell));
  const leave = register(key('f', page));
  press('f');
  leave();
  press('f');
  expect([page, shell].map((run) => run.mock.calls.length)).toEqual([1, 1]);
});
