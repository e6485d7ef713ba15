// @vitest-environment node
import { describe, expect, it } from 'vitest';
import type { LogEntry } from '../../lib/types';
import { inTime, matches, merge, readFilter, scopeOf } from './logs';

function entry(id: number, more: Partial<LogEntry> = {}): LogEntry {
  return {
    Date: '',
    Timestamp: 1000 + id,
    Level: 2,
    Message: 'disk is full',
    Host: 'db-1',
    Probe: 'disks',
    Group: 'database',
    Id: id,
    Kind: 'probe_changed',
    Was: 100,
    Now: 300,
    Learned: 1000 + id,
    Origin: '',
    OriginId: id,
    ...more,
  };
}
const filter = (text: string) => readFilter(new URLSearchParams(text));

describe('matches', () => {
  it('keeps what is at least as bad', () => {
    expect(matches(entry(1), filter('level=warn'))).toBe(true);
    expect(matches(entry(1), filter('level=error'))).toBe(false);
    expect(matches(entry(1, { Now: 100 }), filter('level=info'))).toBe(false);
    expect(matches(entry(1, { Now: 100 }), filter('level=nonsense'))).toBe(true);
    const down = entry(1, { Kind: 'instance_down', Now: null });
    expect(matches(down, filter('level=down'))).toBe(true);
  });

  it('looks for the text in message and names, in any case', () => {
    expect(matches(entry(1), filter('q=FULL'))).toBe(true);
    expect(matches(entry(1), filter('q=db-'))).toBe(true);
    expect(matches(entry(1), filter('q=memory'))).toBe(false);
  });
});

describe('merge', () => {
  it('has each entry once, the newest first', () => {
    const merged = merge([entry(3), entry(1)], [entry(4), entry(3, { Message: 'again' })]);
    expect(merged.map((one) => [one.Id, one.Message])).toEqual([
      [4, 'disk is full'],
      [3, 'again'],
      [1, 'disk is full'],
    ]);
  });
});

describe('the stream', () => {
  it('is asked for what the page shows, and for no empty filter', () => {
    expect(scopeOf(filter('hostname=a&level=warn'))).toEqual({ scope: 'logs', hostname: 'a' });
    expect(scopeOf(filter(''))).toEqual({ scope: 'logs' });
  });

  it('brings nothing from outside the time asked for', () => {
    expect(inTime(entry(5), filter('since=1005&until=1006'))).toBe(true);
    expect(inTime(entry(4), filter('since=1005'))).toBe(false);
    expect(inTime(entry(6), filter('until=1006'))).toBe(false);
  });
});
