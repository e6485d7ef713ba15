// @vitest-environment node
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { LogEntry } from '../../lib/types';
import { readFilter } from './logs';
import { Tail } from './tail.svelte';

/** What the server holds, the newest last. */
let stored: LogEntry[] = [];
let asked: URLSearchParams[] = [];

function add(count: number, of: (id: number) => Partial<LogEntry> = () => ({})): LogEntry {
  let last = stored.at(-1);
  for (let n = 0; n < count; n += 1) {
    const id = (last?.Id ?? 0) + 1;
    last = {
      Date: '',
      Timestamp: id,
      Level: 2,
      Message: `entry ${id}`,
      Host: 'a',
      Probe: 'p',
      Group: '',
      Id: id,
      Kind: 'probe_changed',
      Was: 300,
      Now: 100,
      Learned: id,
      Origin: '',
      OriginId: id,
      ...of(id),
    };
    stored.push(last);
  }
  return last as LogEntry;
}

beforeEach(() => {
  stored = [];
  asked = [];
  vi.stubGlobal('fetch', (url: string) => {
    const query = new URL(url, 'http://localhost').searchParams;
    asked.push(query);
    const [from, limit] = [Number(query.get('offset')), Number(query.get('limit'))];
    const body = JSON.stringify(stored.toReversed().slice(from, from + limit));
    return Promise.resolve(new Response(body, { headers: { 'Content-Type': 'application/json' } }));
  });
});
afterEach(() => vi.unstubAllGlobals());

const tail = (text = '') => new Tail(readFilter(new URLSearchParams(text)));
const ids = (of: Tail) => of.shown.map((entry) => entry.Id);

describe('Tail', () => {
  it('goes back page by page until nothing is older', async () => {
    add(250);
    const log = tail();
    await log.load();
    expect(ids(log).slice(0, 2)).toEqual([250, 249]);
    while (log.more) await log.more();
    expect(ids(log)).toHaveLength(250);
    expect(new Set(ids(log)).size).toBe(250);
  });

  it('misses none and shows none twice while new ones come', async () => {
    add(150);
    const log = tail();
    await log.load();
    log.take(add(1));
    log.take(add(1));
    while (log.more) await log.more();
    expect(ids(log)).toEqual(Array.from({ length: 152 }, (_, n) => 152 - n));
  });

  it('keeps new ones waiting while nobody follows', async () => {
    add(5);
    const log = tail();
    await log.load();
    log.follow(false);
    log.take(add(1));
    expect([ids(log)[0], log.waiting]).toEqual([5, 1]);
    log.follow(true);
    expect([ids(log)[0], log.waiting]).toEqual([6, 0]);
  });

  it('leaves level and text to the server, and looks at them in what comes by the stream', async () => {
    const log = tail('level=error&q=disk');
    await log.load();
    expect([asked[0]?.get('level'), asked[0]?.get('q')]).toEqual(['error', 'disk']);
    log.take(add(1, () => ({ Now: 500, Message: 'disk is gone' })));
    log.take(add(1, () => ({ Now: 100, Message: 'disk is back' })));
    expect(ids(log)).toEqual([1]);
  });

  it('keeps what is shown when the server is away', async () => {
    add(3);
    const log = tail();
    await log.load();
    vi.stubGlobal('fetch', () => Promise.reject(new TypeError('no')));
    await log.load();
    expect(ids(log)).toEqual([3, 2, 1]);
    expect(log.trouble).toContain('cannot be reached');
  });
});
