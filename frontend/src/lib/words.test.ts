// @vitest-environment node
import { expect, it } from 'vitest';
import type { Counts } from './types';
import { headline, sentence } from './words';

const none: Counts = {
  Total: 9,
  Ok: 9,
  Info: 0,
  Warn: 0,
  Crit: 0,
  Error: 0,
  Down: 0,
  Unknown: 0,
  Stopped: 0,
  Stale: 0,
};

it('makes a sentence of a message', () => {
  expect([sentence('it is away'), sentence('Gone!')]).toEqual(['It is away.', 'Gone!']);
});

it('is calm when all is well, and names the worst when not', () => {
  expect(headline(none, { ...none, Info: 3 })).toBe('All is well');
  expect(headline(none, { ...none, Warn: 1 })).toBe('1 warning');
  expect(headline({ ...none, Down: 2 }, { ...none, Crit: 14, Warn: 5 })).toBe(
    '2 hosts down and 14 probes critical',
  );
  expect(headline(none, { ...none, Error: 1, Crit: 3 })).toBe('1 probe failing and 3 critical');
  expect(headline({ ...none, Stopped: 1 }, none)).toBe('1 host stopped');
});
