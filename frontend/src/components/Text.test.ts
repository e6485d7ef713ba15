import { cleanup, fireEvent, render, screen } from '@testing-library/svelte';
import { afterEach, expect, it } from 'vitest';
import Text from './Text.svelte';

// For all tests at once, the setup would be loaded for those without a component, too.
afterEach(cleanup);

const HOSTILE = [
  '<script>alert(1)</script>',
  '"><img src=x onerror=alert(1)>',
  '</bdi><b>bold</b>',
  '{@html 1}',
  '\u202Egro.elpmaxe',
];

it.each(HOSTILE)('shows %j as text, isolated in its direction', (text) => {
  const { container } = render(Text, { text });
  expect(container.querySelector('bdi')?.textContent).toBe(text);
  expect(container.querySelectorAll('script, img, b').length).toBe(0);
});

it('cuts what is long, and shows all of it when asked', async () => {
  const text = 'x'.repeat(100_000);
  const { container } = render(Text, { text });
  const shown = () => container.querySelector('bdi')?.textContent?.length ?? 0;
  expect(shown()).toBeLessThan(1000);
  await fireEvent.click(screen.getByRole('button', { name: /Show all/ }));
  expect(shown()).toBe(100_000);
});

it('cuts many lines as well', () => {
  const { container } = render(Text, { text: 'line\n'.repeat(80), whole: true });
  expect(container.querySelector('bdi')?.textContent?.split('\n').length).toBeLessThan(20);
});
