/**
 * What changed, as it changes: one event stream with the scope of the page that is shown.
 *
 * A page fetches nothing by itself when it opens: `refetch` is called as soon as its stream is there, so
 * that no change is missed between the two and nothing is fetched twice; or soon, if no stream comes. It is
 * called again where a stream that broke cannot be resumed, and from time to time while there is none.
 * While the tab is hidden, there is no stream, and only `glance` is called, slowly.
 */
import { address, type Query } from './api';
import type { LiveEventName, LiveEvents } from './types';

export type Scope =
  | { scope: 'none' | 'overview' | 'all' }
  | { scope: 'group'; group: string }
  | { scope: 'host'; host: string }
  | { scope: 'logs'; hostname?: string; group?: string; probe?: string };

/** `connecting` at first, `live` with a stream, `polling` without one, `lost` when nothing answers. */
export type LiveState = 'connecting' | 'live' | 'polling' | 'lost' | 'hidden' | 'ended';

export type Handlers = { [Name in LiveEventName]?: (data: LiveEvents[Name]) => void } & {
  /**
   * Nothing is known yet, or what is shown may be wrong: fetch it. `greeted` with the `hello` of a stream,
   * after which the counts come by themselves, and the summary where it was asked for.
   */
  refetch?: (greeted: boolean) => void;
};

/** All in milliseconds. */
export const TIMES = {
  /** Silence after which a stream is taken for dead; the server says something every 10 s. */
  silence: 25_000,
  /** Before the first new try; doubled with each, with chance, up to `retryMost`. */
  retry: 1_000,
  retryMost: 30_000,
  /** How long a page that opens waits for its stream before it fetches without one. */
  first: 1_000,
  /** Between polls while there is no stream. */
  poll: 15_000,
  /** Between glances while the tab is hidden. */
  glance: 60_000,
};

const NAMES: LiveEventName[] = [
  'hello',
  'counts',
  'summary',
  'host',
  'host_gone',
  'probe',
  'probe_gone',
  'log',
  'changed',
  'incident',
  'suppressions',
  'time',
  'reset',
  'bye',
];

/** What the stream needs of its surroundings; tests bring their own. */
export interface Surroundings {
  open: (url: string) => EventSource;
  /** Fetches the counts while there is no stream; rejects if nothing answers. */
  glance: () => Promise<void>;
  hidden: () => boolean;
  random: () => number;
  now: () => number;
}

export class Live {
  state: LiveState = 'connecting';
  /** When something was last heard, in milliseconds of `now`; 0 before. */
  heard = 0;
  /** Keep the stream while the tab is hidden, since notifications are wanted. */
  keepHidden = false;

  #around: Surroundings;
  #changed: (live: Live) => void;
  #always: Handlers[] = [];
  #page: Handlers = {};
  #scope: Scope = { scope: 'none' };
  #source: EventSource | null = null;
  #lastId = '';
  #tries = 0;
  #timers: { silence?: Timer; retry?: Timer; poll?: Timer; switch?: Timer; first?: Timer } = {};
  #started = false;

  /** `changed` is told when the state or the time of the last word changed. */
  constructor(around: Surroundings, changed: (live: Live) => void = () => {}) {
    this.#around = around;
    this.#changed = changed;
  }

  start(): void {
    this.#started = true;
    this.#connect();
    this.#fetchIn(TIMES.first);
  }

  stop(): void {
    this.#started = false;
    this.#close();
    clearTimeout(this.#timers.poll);
    clearTimeout(this.#timers.switch);
    clearTimeout(this.#timers.first);
  }

  /** Handlers for as long as the application lives. */
  always(handlers: Handlers): void {
    this.#always.push(handlers);
  }

  /** What the page shown now wants to hear. The function returned ends that. */
  watch(scope: Scope, handlers: Handlers): () => void {
    this.#page = handlers;
    this.#choose(scope);
    const coming = this.state === 'connecting' || this.#timers.switch !== undefined;
    if (this.#started) this.#fetchIn(coming && this.state !== 'lost' ? TIMES.first : 0);
    return () => {
      if (this.#page !== handlers) return;
      this.#page = {};
      this.#choose({ scope: 'none' });
    };
  }

  /** To be called when the tab was hidden or shown. */
  visibility(): void {
    if (!this.#started) return;
    if (this.#around.hidden() && !this.keepHidden) {
      this.#close();
      this.#set('hidden');
      this.#pollIn(TIMES.glance);
    } else if (!this.#source) {
      clearTimeout(this.#timers.poll);
      this.#tries = 0;
      this.#connect();
    }
  }

  /** The network is gone: what the stream would tell in silence only, later. */
  unplugged(): void {
    if (this.#source) this.#broken();
  }

  /** Tries at once, for who does not want to wait. */
  retry(): void {
    this.#tries = 0;
    this.#connect();
  }

  #choose(scope: Scope): void {
    if (JSON.stringify(scope) === JSON.stringify(this.#scope)) return;
    this.#scope = scope;
    this.#lastId = '';
    if (!this.#started) return;
    // One page goes and the next comes within a moment: one new stream, not two.
    clearTimeout(this.#timers.switch);
    this.#timers.switch = setTimeout(() => {
      this.#timers.switch = undefined;
      this.#connect();
    }, 0);
  }

  /** The first fetch of a page, if no stream greets it before. */
  #fetchIn(milliseconds: number): void {
    clearTimeout(this.#timers.first);
    this.#timers.first = setTimeout(() => this.#page.refetch?.(false), milliseconds);
  }

  #connect(): void {
    this.#close();
    if (!this.#started || (this.#around.hidden() && !this.keepHidden)) return;
    const resumed = this.#lastId !== '';
    const query: Query = { ...this.#scope, last_event_id: this.#lastId };
    const source = this.#around.open(address('/api/events', query));
    this.#source = source;
    for (const name of NAMES) {
      source.addEventListener(name, (event) => {
        if (this.#source === source) this.#receive(name, event as MessageEvent<string>, resumed);
      });
    }
    source.onerror = () => {
      if (this.#source === source) this.#broken();
    };
    this.#watchSilence();
  }

  #receive(name: LiveEventName, event: MessageEvent<string>, resumed: boolean): void {
    let data: never;
    try {
      data = JSON.parse(event.data) as never;
    } catch {
      return;
    }
    if (event.lastEventId) this.#lastId = event.lastEventId;
    this.#tries = 0;
    clearTimeout(this.#timers.poll);
    this.#hear('live');
    this.#watchSilence();
    for (const handlers of [...this.#always, this.#page]) handlers[name]?.(data);
    if (name === 'reset') this.#refetch(false);
    if (name === 'hello' && !resumed) this.#refetch(true);
    if (name === 'bye') this.#broken();
  }

  #refetch(greeted: boolean): void {
    clearTimeout(this.#timers.first);
    for (const handlers of [...this.#always, this.#page]) handlers.refetch?.(greeted);
  }

  /** The stream is gone: try again later, and poll until it is back. */
  #broken(): void {
    this.#close();
    if (this.state === 'live' || this.state === 'connecting') this.#set('polling');
    const most = Math.min(TIMES.retryMost, TIMES.retry * 2 ** this.#tries);
    this.#tries += 1;
    const wait = most / 2 + (this.#around.random() * most) / 2;
    this.#timers.retry = setTimeout(() => this.#connect(), wait);
    if (this.#tries === 1) this.#pollIn(TIMES.retry * 2);
  }

  #pollIn(milliseconds: number): void {
    clearTimeout(this.#timers.poll);
    this.#timers.poll = setTimeout(() => void this.#poll(), milliseconds);
  }

  async #poll(): Promise<void> {
    if (!this.#started || this.state === 'live') return;
    const hidden = this.#around.hidden() && !this.keepHidden;
    try {
      await this.#around.glance();
      if ((this.state as LiveState) === 'live') return;
      this.#hear(hidden ? 'hidden' : 'polling');
      if (!hidden) this.#page.refetch?.(false);
    } catch {
      if ((this.state as LiveState) !== 'live') this.#set('lost');
    }
    if ((this.state as LiveState) !== 'live') this.#pollIn(hidden ? TIMES.glance : TIMES.poll);
  }

  #watchSilence(): void {
    clearTimeout(this.#timers.silence);
    this.#timers.silence = setTimeout(() => this.#broken(), TIMES.silence);
  }

  #hear(state: LiveState): void {
    this.heard = this.#around.now();
    this.state = state;
    this.#changed(this);
  }

  #set(state: LiveState): void {
    this.state = state;
    this.#changed(this);
  }

  #close(): void {
    clearTimeout(this.#timers.silence);
    clearTimeout(this.#timers.retry);
    this.#source?.close();
    this.#source = null;
  }
}

type Timer = ReturnType<typeof setTimeout>;
