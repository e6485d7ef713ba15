// @vitest-environment node
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { Live, TIMES, type Surroundings } from './live';

class Stream extends EventTarget {
  static all: Stream[] = [];
  closed = false;
  onerror: (() => void) | null = null;
  constructor(readonly url: string) {
    super();
    Stream.all.push(this);
  }
  close() {
    this.closed = true;
  }
  say(name: string, data: unknown, lastEventId = '') {
    this.dispatchEvent(new MessageEvent(name, { data: JSON.stringify(data), lastEventId }));
  }
  static get last(): Stream {
    return Stream.all.at(-1) as Stream;
  }
  get query(): URLSearchParams {
    return new URL(this.url, 'http://x').searchParams;
  }
}

let hidden = false;
let glance = vi.fn<() => Promise<void>>();
let live: Live;

beforeEach(() => {
  vi.useFakeTimers();
  Stream.all = [];
  hidden = false;
  glance = vi.fn(() => Promise.resolve());
  const around: Surroundings = {
    open: (url) => new Stream(url) as unknown as EventSource,
    glance,
    hidden: () => hidden,
    random: () => 1,
    now: () => Date.now(),
  };
  live = new Live(around);
});
afterEach(() => {
  live.stop();
  vi.useRealTimers();
});

const hello = { Now: 1, Revision: 1, Version: '', Caller: { Name: '', Role: 'readonly' } };

describe('a page', () => {
  it('hears what it asked for, and fetches once at the first contact', () => {
    const [probe, refetch] = [vi.fn(), vi.fn()];
    live.watch({ scope: 'host', host: 'a b' }, { probe, refetch });
    live.start();
    expect(Stream.last.query.get('scope')).toBe('host');
    expect(Stream.last.query.get('host')).toBe('a b');
    Stream.last.say('hello', hello, '1');
    Stream.last.say('probe', { Name: 'x' }, '2');
    expect(probe).toHaveBeenCalledWith({ Name: 'x' });
    expect(refetch).toHaveBeenCalledOnce();
    expect(live.state).toBe('live');
  });

  it('fetches soon if no stream comes, and only once if one does', () => {
    const refetch = vi.fn();
    live.start();
    live.watch({ scope: 'overview' }, { refetch });
    vi.advanceTimersByTime(TIMES.first - 1);
    expect(refetch).not.toHaveBeenCalled();
    vi.advanceTimersByTime(1);
    expect(refetch.mock.calls).toEqual([[false]]);
    live.watch({ scope: 'none' }, { refetch });
    vi.advanceTimersByTime(1);
    Stream.last.say('hello', hello, '1');
    vi.advanceTimersByTime(TIMES.first);
    expect(refetch.mock.calls).toEqual([[false], [true]]);
  });

  it('that hears what the page before it heard fetches at once, by the same stream', () => {
    live.start();
    const leave = live.watch({ scope: 'none' }, {});
    Stream.last.say('hello', hello, '1');
    leave();
    const refetch = vi.fn();
    live.watch({ scope: 'none' }, { refetch });
    vi.advanceTimersByTime(0);
    expect(refetch.mock.calls).toEqual([[false]]);
    expect(Stream.all.length).toBe(1);
  });

  it('that follows another costs one new stream, and does not resume the old scope', () => {
    live.start();
    const leave = live.watch({ scope: 'overview' }, {});
    vi.advanceTimersByTime(1);
    Stream.last.say('hello', hello, '7');
    leave();
    live.watch({ scope: 'logs', probe: 'x' }, {});
    vi.advanceTimersByTime(1);
    expect(Stream.all.length).toBe(3);
    expect(Stream.all.filter((stream) => !stream.closed)).toEqual([Stream.last]);
    expect(Stream.last.query.get('last_event_id')).toBeNull();
  });
});

describe('a stream that breaks', () => {
  it('is resumed where it broke, without fetching again', () => {
    const refetch = vi.fn();
    live.watch({ scope: 'overview' }, { refetch });
    live.start();
    Stream.last.say('hello', hello, '5');
    Stream.last.onerror?.();
    expect(live.state).toBe('polling');
    vi.advanceTimersByTime(TIMES.retry);
    expect(Stream.last.query.get('last_event_id')).toBe('5');
    Stream.last.say('hello', hello, '6');
    expect(refetch).toHaveBeenCalledOnce();
    expect(live.state).toBe('live');
  });

  it('fetches again if what was missed cannot be told', () => {
    const refetch = vi.fn();
    live.watch({ scope: 'overview' }, { refetch });
    live.start();
    Stream.last.say('hello', hello, '5');
    Stream.last.say('reset', { Why: 'too slow' }, '9');
    expect(refetch).toHaveBeenCalledTimes(2);
  });

  it('by silence is taken for dead', () => {
    live.start();
    Stream.last.say('hello', hello, '5');
    vi.advanceTimersByTime(TIMES.silence - 1);
    expect(Stream.last.closed).toBe(false);
    vi.advanceTimersByTime(1);
    expect(Stream.last.closed).toBe(true);
    expect(live.state).toBe('polling');
  });

  it('is tried less and less often, and polled meanwhile', async () => {
    const refetch = vi.fn();
    live.watch({ scope: 'overview' }, { refetch });
    live.start();
    const opened: number[] = [];
    const start = Date.now();
    for (let n = 0; n < 8; n += 1) {
      const count = Stream.all.length;
      Stream.last.onerror?.();
      while (Stream.all.length === count) await vi.advanceTimersByTimeAsync(500);
      opened.push(Date.now() - start);
    }
    const waits = opened.map((at, n) => at - (opened[n - 1] ?? 0));
    expect(waits).toEqual([1000, 2000, 4000, 8000, 16_000, 30_000, 30_000, 30_000]);
    expect(glance).toHaveBeenCalled();
    expect(refetch).toHaveBeenCalled();
  });

  it('since the network went is not waited for', async () => {
    glance.mockRejectedValue(new Error('away'));
    live.start();
    Stream.last.say('hello', hello, '5');
    live.unplugged();
    expect([Stream.last.closed, live.state]).toEqual([true, 'polling']);
    await vi.advanceTimersByTimeAsync(TIMES.retry * 2);
    expect(live.state).toBe('lost');
  });

  it('and a server that does not answer is lost, until it answers', async () => {
    glance.mockRejectedValue(new Error('away'));
    live.start();
    Stream.last.onerror?.();
    await vi.advanceTimersByTimeAsync(TIMES.retry * 2);
    expect(live.state).toBe('lost');
    Stream.last.say('hello', hello, '1');
    expect(live.state).toBe('live');
  });
});

describe('a hidden tab', () => {
  it('has no stream, glances slowly, and resumes when it is shown', async () => {
    live.start();
    Stream.last.say('hello', hello, '5');
    hidden = true;
    live.visibility();
    expect(Stream.last.closed).toBe(true);
    await vi.advanceTimersByTimeAsync(TIMES.glance * 3);
    expect(glance).toHaveBeenCalledTimes(3);
    expect(Stream.all.length).toBe(1);
    hidden = false;
    live.visibility();
    expect(Stream.last.query.get('last_event_id')).toBe('5');
  });

  it('keeps its stream if somebody wants to be notified', () => {
    live.keepHidden = true;
    live.start();
    hidden = true;
    live.visibility();
    expect(Stream.last.closed).toBe(false);
  });
});
