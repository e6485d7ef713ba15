/** The log as a page shows it: fetched backwards from now, with what happens meanwhile put in front. */
import { ApiError, explain, get } from '../../lib/api';
import type { LogEntry } from '../../lib/types';
import { inTime, matches, merge, type LogFilter } from './logs';

/** Entries of one answer; more where most of them are left out by level or text. */
const BATCH = 100;
const BATCH_FILTERED = 1_000;
/** Requests of one step back, when hardly anything matches. */
const BATCHES = 5;
/** Matches that end a step back. */
const ENOUGH = 60;
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
  /** The oldest entry that was looked at, by its time. */
  searchedTo = $state(0);
  /** New entries go in front at once; else they wait. */
  following = $state(true);

  #held = $state.raw<readonly LogEntry[]>([]);
  #waiting = $state.raw<readonly LogEntry[]>([]);
  #lost = false;
  #filter: LogFilter;
  /** Entries of the server that were passed, counted from the newest. */
  #offset = 0;
  #running: AbortController | null = null;

  shown = $derived.by(() => this.#held.filter((entry) => matches(entry, this.#filter)));

  constructor(filter: LogFilter) {
    this.#filter = filter;
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
    if (!inTime(entry, this.#filter)) return;
    this.#offset += 1;
    if (!matches(entry, this.#filter)) return;
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
    const { level, q, ...asked } = this.#filter;
    const limit = level || q ? BATCH_FILTERED : BATCH;
    let found = 0;
    let first = anew;
    try {
      for (let batch = 0; batch < BATCHES && found < ENOUGH; batch += 1) {
        const query = { ...asked, level, q, limit, offset: this.#offset };
        const options = { query, signal: running.signal };
        const entries = await get<LogEntry[]>('/api/logs', options);
        if (running.signal.aborted) return;
        this.#offset += entries.length;
        found += entries.filter((entry) => matches(entry, this.#filter)).length;
        this.#held = merge(first ? [] : this.#held, entries);
        first = false;
        this.known = true;
        this.ended = entries.length < limit;
        this.searchedTo = entries.at(-1)?.Timestamp ?? this.searchedTo;
        if (this.ended || this.full) break;
      }
      this.trouble = '';
      this.status = 0;
    } catch (error) {
      if (running.signal.aborted) return;
      this.trouble = explain(error);
      this.status = error instanceof ApiError ? error.status : 0;
    }
  }
}
