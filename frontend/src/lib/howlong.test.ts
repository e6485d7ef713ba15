// @vitest-environment node
import { describe, expect, it } from 'vitest';
import { lasting, morning, MORNING, OWN } from './howlong';

const at = (day: number, hour: number, minute = 0) => new Date(2026, 10, day, hour, minute);

describe('until the morning', () => {
  it('is the next day by day, and the same day in the night', () => {
    expect(morning(at(22, 15))).toEqual({ at: at(23, 8), today: false });
    expect(morning(at(22, 23, 59))).toEqual({ at: at(23, 8), today: false });
    expect(morning(at(23, 3))).toEqual({ at: at(23, 8), today: true });
  });

  it('goes over the end of a month', () => {
    expect(morning(at(30, 20)).at).toEqual(new Date(2026, 11, 1, 8));
  });

  it('is asked for in seconds', () => {
    expect(lasting(MORNING, '', at(22, 20))).toBe(`${12 * 3600}s`);
  });
});

it('takes what was typed only if it is a time', () => {
  expect(lasting(OWN, ' 90m ', at(1, 1))).toBe('90m');
  expect(lasting(OWN, '48h', at(1, 1))).toBe('2d');
  expect(lasting(OWN, '0h', at(1, 1))).toBeNull();
  expect(lasting(OWN, 'soon', at(1, 1))).toBeNull();
  expect(lasting('', 'soon', at(1, 1))).toBe('');
});
