// @vitest-environment node
import { describe, expect, it } from 'vitest';
import { differences, MOST, outcomeOf } from './diff';

describe('differences', () => {
  it('names only what differs, by its way', () => {
    const before = { Interval: 60, Schedule: { Enabled: true, Directory: '60' }, Same: [1, 2] };
    const after = { Interval: 300, Schedule: { Enabled: true, Directory: '300' }, Same: [1, 2] };
    expect(differences(before, after)).toEqual([
      { field: 'Interval', before: '1 min', after: '5 min' },
      { field: 'Schedule.Directory', before: '60', after: '300' },
    ]);
  });

  it('shows what came and what went', () => {
    expect(differences(null, { Role: 'operator' })).toEqual([
      { field: 'Role', before: null, after: 'operator' },
    ]);
    expect(differences({ Role: 'operator' }, null)).toEqual([
      { field: 'Role', before: 'operator', after: null },
    ]);
    expect(differences({}, { Reason: null })).toEqual([]);
  });

  it('says nothing of what was and is empty', () => {
    const after = { Name: 'ci', LastUsed: 0, Group: '', Enabled: false };
    expect(differences(null, after).map((one) => one.field)).toEqual(['Name', 'Enabled']);
    expect(differences({ Until: 0 }, { Until: 5 })).toEqual([
      { field: 'Until', before: '0', after: '5' },
    ]);
  });

  it('writes times as times', () => {
    const [made] = differences(null, { CreatedAt: 1_500_000_000 });
    expect(made?.after).toContain('2017');
  });

  it('takes what has no fields as a whole', () => {
    expect(differences([1], [1, 2])).toEqual([{ field: '', before: '[1]', after: '[1,2]' }]);
    expect(differences('a', { b: 1 })).toEqual([{ field: '', before: 'a', after: '{"b":1}' }]);
    expect(differences(7, 7)).toEqual([]);
  });

  it('is bounded in depth and number', () => {
    const deep = (value: number) => ({ a: { b: { c: { d: { e: value } } } } });
    expect(differences(deep(1), deep(2))[0]?.field).toBe('a.b.c.d');
    const many = Object.fromEntries(Array.from({ length: 500 }, (_, n) => [`f${n}`, n]));
    expect(differences(null, many)).toHaveLength(MOST);
  });
});

describe('outcomeOf', () => {
  it('separates the word from the reason', () => {
    expect(outcomeOf('done')).toEqual({ word: 'done', why: '' });
    expect(outcomeOf('refused: no such host: x')).toEqual({
      word: 'refused',
      why: 'no such host: x',
    });
  });

  it('takes what it does not know for a refusal, and shows it', () => {
    expect(outcomeOf('exploded')).toEqual({ word: 'refused', why: 'exploded' });
  });
});
