// @vitest-environment node
import { expect, it } from 'vitest';
import { ago, duration, parameter, parseDuration, since } from './time';

it.each([
  [0, '0 s'],
  [59.9, '59 s'],
  [60, '1 min'],
  [3599, '59 min'],
  [3600, '1 h'],
  [12_000, '3 h 20 min'],
  [86_400, '1 d'],
  [187_200, '2 d 4 h'],
  [41.5 * 86_400, '41 d'],
  [-5, '0 s'],
])('%s seconds are "%s"', (seconds, text) => {
  expect(duration(seconds)).toBe(text);
});

it('tells the past from the future, and a moment that never was', () => {
  expect(ago(940, 1000)).toBe('1 min ago');
  expect(ago(999.5, 1000)).toBe('now');
  expect(ago(1030, 1000)).toBe('in 30 s');
  expect(ago(86_400 * 30, 1.5)).toBe('in 30 d');
  expect(ago(4 * 3600, 1.5)).toBe('in 4 h');
  expect(ago(0, 1000)).toBe('never');
  expect(since(0, 1000)).toBe('');
});

it('reads what it writes', () => {
  for (const seconds of [45, 90, 1800, 14_400, 604_800])
    expect(parseDuration(parameter(seconds))).toBe(seconds);
  expect(parseDuration('4 hours')).toBeNull();
  expect(parseDuration('')).toBeNull();
});
