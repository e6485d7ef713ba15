// @vitest-environment node
import { expect, it } from 'vitest';
import { sections } from './sections';

it('lists each key once, by section, with the later meaning', () => {
  const listed = sections([
    { keys: 'j', label: 'old', section: 'Lists' },
    { keys: 'g o', label: 'Overview', section: 'Go to' },
    { keys: 'j', label: 'Next row', section: 'Lists' },
    { keys: 'r', label: 'Run', section: 'Probe' },
  ]);
  expect(listed.map((section) => section.name)).toEqual(['Everywhere', 'Go to', 'Lists', 'Probe']);
  const lists = listed.find((section) => section.name === 'Lists');
  expect(lists?.keys.filter((key) => key.keys === 'j').map((key) => key.label)).toEqual([
    'Next row',
  ]);
});
