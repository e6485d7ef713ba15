/** The log as a page shows it: fetched backwards from now, with what happens meanwhile put in front. */
import { ApiError, explain, get } from '../../lib/api';
import type { LogEntry } from '../../lib/types';
import { inTime, matches, merge, type LogFilter } from './logs';

/** Entries of one answer. */
const BATCH = 100;
/** Entries that are held at most; who wants older ones goes on from there. */
export const MOST_HELD = 5_000;
/** Entries held while the list is not followed; beyond that it is fetched anew. */
const MOST_WAITING = 1_000;

export class Tail {
  trouble = $state('');
  status = $state(0);
  known = $state(false);
  /** Nothing is older than what is shown. */
  ended = $state(false);
  /** New entries go in front at once; else they wait. */
  following = $state(true);

  #held = $state.raw<readonly LogEntry[]>([]);
  #waiting = $state.raw<readonly LogEntry[]>([]);
  #lost = false;
  #filter: LogFilter;
  /** Entries of the server that were passed, counted from the newest. */
  #offset = 0;
  #running: AbortController | null = null;

  constructor(filter: LogFilter) {
    this.#filter = filter;
  }

  get shown(): readonly LogEntry[] {
    return this.#held;
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  get full(): boolean {
    return this.#held.length >= MOST_HELD;
  }

  /** What follows; undefined at the end, or when enough is held. */
  get more(): (() => Promise<void>) | undefined {
    return this.known && !this.ended && !this.full ? () => this.#back() : undefined;
  }

  /** From now on backwards. What was shown stays until the answer is there. */
  load = async (): Promise<void> => {
    this.#offset = 0;
    await this.#back(true);
  };

  stop(): void {
    this.#running?.abort();
  }

  /** An entry that came by the event stream. */
  take(entry: LogEntry): void {
    if (!inTime(entry, this.#filter) || !matches(entry, this.#filter)) return;
    this.#offset += 1;
    if (this.following) {
      this.#held = merge(this.#held, [entry]).slice(0, MOST_HELD);
      return;
    }
    this.#waiting = merge(this.#waiting, [entry]);
    if (this.#waiting.length > MOST_WAITING) {
      this.#waiting = this.#waiting.slice(0, MOST_WAITING);
      this.#lost = true;
    }
  }

  follow(on: boolean): void {
    this.following = on;
    if (!on) return;
    if (this.#lost) void this.load();
    this.#held = merge(this.#held, this.#waiting).slice(0, MOST_HELD);
    this.#waiting = [];
    this.#lost = false;
  }

  async #back(anew = false): Promise<void> {
    this.#running?.abort();
    const running = new AbortController();
    this.#running = running;
    const query = { ...this.#filter, limit: BATCH, offset: this.#offset };
    try {
      const entries = await get<LogEntry[]>('/api/logs', { query, signal: running.signal });
      if (running.signal.aborted) return;
      this.#offset += entries.length;
      this.#held = merge(anew ? [] : this.#held, entries);
      this.known = true;
      this.ended = entries.length < BATCH;
      this.trouble = '';
      this.status = 0;
    } catch (error) {
      if (running.signal.aborted) return;
      this.trouble = explain(error);
      this.status = error instanceof ApiError ? error.status : 0;
    }
  }
}
