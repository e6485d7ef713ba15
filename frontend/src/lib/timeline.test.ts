// @vitest-environment node
import { describe, expect, it } from 'vitest';
import { shares, stretches, ticks } from './timeline';
import type { Timeline, TimelineChange } from './types';

const change = (
  At: number,
  Kind: string,
  Probe = '',
  Now: number | null = null,
): TimelineChange => ({
  Host: 'web',
  Group: '',
  Probe,
  Was: null,
  Now,
  Message: '',
  At,
  Kind,
});
const timeline = (Changes: TimelineChange[], more: Partial<Timeline> = {}): Timeline => ({
  Host: 'web',
  Probe: '',
  Since: 0,
  Until: 100,
  StatusAtStart: 100,
  HistoryDays: 30,
  ProbesAtStart: { load: 100 },
  StoppedAtStart: false,
  Truncated: false,
  Changes,
  ...more,
});
const short = (of: Timeline, now = 100) =>
  stretches(of, now).map(
    ({ from, to, level, unwatched }) => `${from}-${to} ${level}${unwatched ? ' //' : ''}`,
  );

describe('stretches', () => {
  it('is not changed by orders', () => {
    const ordered = timeline([
      change(20, 'probe_changed', 'load', 300),
      change(30, 'ordered', 'load'),
    ]);
    expect(short(ordered)).toEqual(['0-20 ok', '20-100 crit']);
  });

  it('does not take a probe that was switched off for well', () => {
    const off = timeline([change(20, 'probe_gone', 'load'), change(21, 'ordered', 'load')], {
      Probe: 'load',
    });
    expect(short(off)).toEqual(['0-20 ok', '20-100 stopped //']);
  });

  it('has the worst of all probes, from one change to the next', () => {
    const changes = [
      change(10, 'probe_changed', 'load', 200),
      change(20, 'probe_changed', 'disk', 300),
      change(30, 'probe_changed', 'disk', 100),
      change(40, 'probe_changed', 'load', 100),
    ];
    expect(short(timeline(changes))).toEqual([
      '0-10 ok',
      '10-20 warn',
      '20-30 crit',
      '30-40 warn',
      '40-100 ok',
    ]);
  });

  it('hatches what nobody watched, and goes on with what was known', () => {
    const changes = [
      change(10, 'probe_changed', 'load', 200),
      change(20, 'agent_stopped'),
      change(50, 'agent_started'),
    ];
    expect(short(timeline(changes))).toEqual([
      '0-10 ok',
      '10-20 warn',
      '20-50 stopped //',
      '50-100 warn',
    ]);
  });

  it('says down until it is heard again', () => {
    const changes = [change(30, 'instance_down', '', 999), change(60, 'instance_up', '', 100)];
    expect(short(timeline(changes))).toEqual(['0-30 ok', '30-60 down //', '60-100 ok']);
  });

  it('claims nothing of the time before the first result, and of what lies ahead', () => {
    const before = { StatusAtStart: -1, ProbesAtStart: {} };
    const changes = [change(40, 'probe_seen', 'load', 100)];
    expect(short(timeline(changes, before), 70)).toEqual(['0-40 unknown //', '40-70 ok']);
  });

  it('stopped at the start stays so until the start of the agent', () => {
    const changes = [change(25, 'agent_started')];
    expect(short(timeline(changes, { StoppedAtStart: true }))).toEqual([
      '0-25 stopped //',
      '25-100 ok',
    ]);
  });

  it('a probe that is gone counts no more', () => {
    const changes = [
      change(10, 'probe_changed', 'load', 300),
      change(20, 'probe_gone', 'load', null),
    ];
    expect(short(timeline(changes))).toEqual(['0-10 ok', '10-20 crit', '20-100 ok']);
  });

  it('does not guess what was cut off', () => {
    const changes = [change(10, 'probe_changed', 'load', 300)];
    expect(short(timeline(changes, { Truncated: true }))).toEqual(['0-10 ok', '10-100 unknown //']);
  });

  it('keeps the worst when there are more changes than fit, without a gap', () => {
    const changes = Array.from({ length: 20_000 }, (_, n) =>
      change(n * 10, 'probe_changed', 'load', n === 7777 ? 500 : n % 2 ? 200 : 100),
    );
    const all = stretches(timeline(changes, { Until: 200_000 }), 200_000);
    expect(all.length).toBeLessThanOrEqual(600);
    expect(all.some((one) => one.level === 'error')).toBe(true);
    expect(all.every((one, n) => n === 0 || one.from === all[n - 1]?.to)).toBe(true);
    expect([all[0]?.from, all.at(-1)?.to]).toEqual([0, 200_000]);
  });
});

it('shares add up to all of the time', () => {
  const changes = [change(25, 'agent_stopped'), change(75, 'agent_started')];
  const found = shares(stretches(timeline(changes), 100));
  expect(found.map(({ level, unwatched, share }) => [level, unwatched, share])).toEqual([
    ['unknown', true, 0.5],
    ['ok', false, 0.5],
  ]);
});

it('marks stand at round local times', () => {
  const found = ticks(1000, 1000 + 86_400, 6, -60);
  expect(found.length).toBeLessThanOrEqual(6);
  expect(found.every((at) => (at + 3600) % 21_600 === 0)).toBe(true);
});
