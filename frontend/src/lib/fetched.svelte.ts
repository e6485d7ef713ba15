/**
 * What a page fetches and shows: one document, or a list that comes page by page. What was shown stays
 * until the new answer is there, and an error never takes away what is known already.
 */
import { ApiError, explain } from './api';
import type { Page } from './types';

/** One answer. */
export class Fetched<T> {
  value = $state.raw<T | null>(null);
  /** Why the last try failed, as a sentence; empty when it did not. */
  trouble = $state('');
  /** The HTTP status of that failure; 0 for none. */
  status = $state(0);
  loading = $state(false);

  #ask: (signal: AbortSignal) => Promise<T>;
  #running: AbortController | null = null;

  constructor(ask: (signal: AbortSignal) => Promise<T>) {
    this.#ask = ask;
  }

  /** Asks (again); an answer that is still on its way is no longer wanted. */
  load = async (): Promise<void> => {
    this.#running?.abort();
    const running = new AbortController();
    this.#running = running;
    this.loading = true;
    try {
      const value = await this.#ask(running.signal);
      if (running.signal.aborted) return;
      this.value = value;
      this.trouble = '';
      this.status = 0;
    } catch (error) {
      if (running.signal.aborted) return;
      this.trouble = explain(error);
      this.status = error instanceof ApiError ? error.status : 0;
    }
    this.loading = false;
  };

  stop = (): void => {
    this.#running?.abort();
    this.#running = null;
  };
}

/** A list in pages. */
export class Paged<T> {
  items = $state.raw<readonly T[]>([]);
  total = $state(0);
  trouble = $state('');
  status = $state(0);
  /** False until the first answer. */
  known = $state(false);

  #next = $state('');
  #ask: (after: string, signal: AbortSignal) => Promise<Page<T>>;
  #key: (item: T) => string | number;
  #running: AbortController | null = null;

  constructor(
    ask: (after: string, signal: AbortSignal) => Promise<Page<T>>,
    key: (item: T) => string | number,
  ) {
    this.#ask = ask;
    this.#key = key;
  }

  /** From the beginning. */
  load = (): Promise<void> => this.#fetch('');

  /** What follows; undefined at the end. */
  get more(): (() => Promise<void>) | undefined {
    const next = this.#next;
    return next ? () => this.#fetch(next) : undefined;
  }

  stop = (): void => {
    this.#running?.abort();
    this.#running = null;
  };

  async #fetch(after: string): Promise<void> {
    this.#running?.abort();
    const running = new AbortController();
    this.#running = running;
    try {
      const page = await this.#ask(after, running.signal);
      if (running.signal.aborted) return;
      this.items = after ? joined(this.items, page.Items, this.#key) : page.Items;
      this.total = page.Total;
      this.#next = page.Next;
      this.trouble = '';
      this.status = 0;
      this.known = true;
    } catch (error) {
      if (running.signal.aborted) return;
      this.trouble = explain(error);
      this.status = error instanceof ApiError ? error.status : 0;
    }
  }
}

/** Both, without what is there already: a list can move while it is read page by page. */
export function joined<T>(
  first: readonly T[],
  then: readonly T[],
  key: (item: T) => string | number,
): readonly T[] {
  const known = new Set(first.map(key));
  return [...first, ...then.filter((item) => !known.has(key(item)))];
}
