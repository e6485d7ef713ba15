// @vitest-environment node
import { describe, expect, it } from 'vitest';
import { LEVELS, levelOf, levelOfEntry, levelOfHost, worstFirst } from './status';
import { SHAPES } from '../components/shapes';

describe('levelOf', () => {
  it.each([
    [100, 'ok'],
    [101, 'info'],
    [199, 'info'],
    [200, 'warn'],
    [299, 'warn'],
    [300, 'crit'],
    [499, 'crit'],
    [500, 'error'],
    [998, 'error'],
    [999, 'down'],
    [0, 'unknown'],
    [-1, 'unknown'],
    [NaN, 'unknown'],
    [null, 'unknown'],
  ])('%s is %s', (status, level) => {
    expect(levelOf(status)).toBe(level);
  });
});

it('a host that is not alive shows its presence, not what it last said', () => {
  expect(levelOfHost({ Presence: 'stopped', Status: 300 })).toBe('stopped');
  expect(levelOfHost({ Presence: 'alive', Status: 300 })).toBe('crit');
});

it('an entry that ends a watch is not taken for well', () => {
  expect(levelOfEntry({ Kind: 'instance_down', Now: null, Level: 4 })).toBe('down');
  expect(levelOfEntry({ Kind: 'agent_stopped', Now: null, Level: 2 })).toBe('stopped');
  expect(levelOfEntry({ Kind: 'probe_changed', Now: 250, Level: 5 })).toBe('warn');
  expect(levelOfEntry({ Kind: 'imported', Now: null, Level: 6 })).toBe('crit');
});

it('sorts the worst first, and of the same the newest', () => {
  const rows = [
    { Status: 200, Since: 9 },
    { Status: 300, Since: 1 },
    { Status: 300, Since: 5 },
  ];
  expect(rows.sort(worstFirst).map((row) => row.Since)).toEqual([5, 1, 9]);
});

it('levels are told apart without colour', () => {
  const shapes = LEVELS.map((level) => `${SHAPES[level].body} ${SHAPES[level].sign}`);
  expect(new Set(shapes).size).toBe(LEVELS.length);
});
