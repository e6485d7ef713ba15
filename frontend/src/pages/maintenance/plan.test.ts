// @vitest-environment node
import { describe, expect, it } from 'vitest';
import type { Window } from '../../lib/notify-types';
import { asked, emptyPlan, when, type Plan } from './plan';

const plan = (changes: Partial<Plan>): Plan => ({
  ...emptyPlan('Europe/Paris'),
  name: 'work',
  target: 'db1',
  ...changes,
});

describe('what the API is asked', () => {
  it('has seconds for what happens once', () => {
    const from = new Date(2026, 10, 22, 2).getTime() / 1000;
    const once = plan({ name: ' move ', from: '2026-11-22T02:00', to: '2026-11-22T04:30' });
    expect(asked(once)).toEqual({
      query: { name: 'move', host: 'db1', probe: '', reason: '', from, to: from + 9_000 },
    });
  });

  it('has days, time and zone for what comes back', () => {
    const weekly = plan({ scope: 'group', every: 'week', weekdays: [1, 7], lasts: '90m' });
    expect(asked(weekly)).toMatchObject({
      query: {
        group: 'db1',
        every: 'week',
        days: 'mon,sun',
        at: '02:00',
        for: '90m',
        zone: 'Europe/Paris',
        ends: '',
      },
    });
    const monthly = plan({
      scope: 'all',
      every: 'month',
      probe: 'disk',
      monthdays: '1, 15 15,Last',
    });
    expect(asked(monthly)).toMatchObject({ query: { all: true, probe: '', days: '1,15,last' } });
  });

  it('ends with the last day, not before it', () => {
    const found = asked(plan({ every: 'week', weekdays: [1], ends: '2026-12-24' }));
    const ends = new Date(2026, 11, 24, 23, 59, 59).getTime() / 1000;
    expect(found).toMatchObject({ query: { ends } });
  });

  it('says what is missing', () => {
    const missing = (changes: Partial<Plan>) => {
      const found = asked(plan(changes));
      return 'missing' in found ? found.missing : '';
    };
    expect(missing({ name: ' ' })).toBe('Give it a name.');
    expect(missing({ target: ' ' })).toBe('Name the host.');
    expect(missing({ scope: 'labels', target: 'env' })).toBe('Name the labels.');
    expect(missing({})).toBe('Say from when to when.');
    expect(missing({ from: '2026-11-22T02:00', to: '2026-11-22T02:00' })).toMatch(
      /after it begins/,
    );
    expect(missing({ every: 'week' })).toBe('Choose a day.');
    expect(missing({ every: 'month', monthdays: '0' })).toMatch(/1 to 31, or last/);
    expect(missing({ every: 'month', monthdays: '32' })).toMatch(/1 to 31, or last/);
    expect(missing({ every: 'week', weekdays: [1], lasts: 'long' })).toMatch(/how long/);
    expect(missing({ every: 'week', weekdays: [1], zone: '' })).toBe('Choose a time zone.');
    expect(missing({ scope: 'all', target: '' })).toBe('Say from when to when.');
  });
});

describe('a window in words', () => {
  const weekly = {
    Every: 'week',
    Days: [2, 4],
    At: '02:00',
    Seconds: 7_200,
    Zone: 'UTC',
  } as Window;

  it('names days of the week and of the month', () => {
    expect(when(weekly, 0)).toBe('every Tuesday and Thursday at 02:00 for 2 h, UTC');
    expect(when({ ...weekly, Days: [1, 2, 3, 4, 5, 6, 7] }, 0)).toMatch(/^every day at/);
    expect(when({ ...weekly, Every: 'month', Days: [1, 2, 3, 11, 22, -1] }, 0)).toBe(
      'on the 1st, 2nd, 3rd, 11th, 22nd and last of each month at 02:00 for 2 h, UTC',
    );
  });
});
