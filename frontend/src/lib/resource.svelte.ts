/** What a page fetched: the newest answer, what went wrong, and lists that come page by page. */
import { untrack } from 'svelte';
import { ApiError, explain, get, type Query } from './api';
import type { Page } from './types';

/** One document. A newer request makes an older one void. */
export class Resource<T> {
  #data = $state.raw<T | null>(null);
  #error = $state.raw<ApiError | null>(null);
  #running: AbortController | null = null;
  #from: () => { path: string; query?: Query };

  constructor(from: () => { path: string; query?: Query }) {
    this.#from = from;
  }

  get data(): T | null {
    return this.#data;
  }
  set data(next: T | null) {
    this.#data = next;
  }
  /** Why there is nothing, as a sentence. Old data stays beside it. */
  get error(): string {
    return this.#error ? explain(this.#error) : '';
  }
  get missing(): boolean {
    return this.status === 404;
  }
  /** The HTTP status of what went wrong; 0 for none. */
  get status(): number {
    return this.#error?.status ?? 0;
  }

  load = async (): Promise<void> => {
    this.#running?.abort();
    const running = new AbortController();
    this.#running = running;
    const { path, query } = this.#from();
    try {
      const data = await get<T>(path, { query: query ?? {}, signal: running.signal });
      if (this.#running !== running) return;
      this.#data = data;
      this.#error = null;
    } catch (error) {
      if (this.#running !== running || running.signal.aborted) return;
      this.#error = error instanceof ApiError ? error : new ApiError(0, explain(error));
    }
  };

  stop(): void {
    this.#running?.abort();
  }
}

/** Rows of one page when nothing else is said, and most rows of one page. */
const PAGE = 100;
const MOST = 500;

/** How a list is asked for what follows, where it is not by `after` and `Next`. */
export interface Pages<T, A> {
  /** The parameter that takes up where a page ended. */
  after: string;
  read: (answer: A) => Page<T>;
}

/** A list that is fetched page by page, and of which rows change while it is shown. */
export class Paged<T, A = Page<T>> {
  #items = $state.raw<T[]>([]);
  #total = $state(0);
  #next = $state('');
  #error = $state('');
  #status = $state(0);
  #loaded = $state(false);
  #running: AbortController | null = null;
  #from: () => { path: string; query?: Query };
  #key: (item: T) => string;
  #pages: Pages<T, A>;

  constructor(
    from: () => { path: string; query?: Query },
    key: (item: T) => string,
    pages: Pages<T, A> = { after: 'after', read: (answer) => answer as Page<T> },
  ) {
    this.#from = from;
    this.#key = key;
    this.#pages = pages;
  }

  get items(): readonly T[] {
    return this.#items;
  }
  get total(): number {
    return this.#total;
  }
  get error(): string {
    return this.#error;
  }
  /** The HTTP status of what went wrong; 0 for none. */
  get status(): number {
    return this.#status;
  }
  /** The first page is there. */
  get loaded(): boolean {
    return this.#loaded;
  }
  get more(): (() => Promise<void>) | undefined {
    return this.#next ? this.#fetchMore : undefined;
  }

  /** Fetches anew as much as is shown, within bounds. */
  load = async (): Promise<void> => {
    const limit = Math.min(MOST, Math.max(PAGE, Math.ceil(this.#items.length / PAGE) * PAGE));
    await this.#fetch('', limit, (page) => (this.#items = page.Items));
  };

  /** Other filters: begins at the top. */
  restart = async (): Promise<void> => {
    this.#items = [];
    this.#loaded = false;
    await this.load();
  };

  #fetchMore = async (): Promise<void> => {
    await this.#fetch(this.#next, PAGE, (page) => {
      const known = new Set(this.#items.map(this.#key));
      this.#items = [...this.#items, ...page.Items.filter((item) => !known.has(this.#key(item)))];
    });
  };

  async #fetch(after: string, limit: number, take: (page: Page<T>) => void): Promise<void> {
    this.#running?.abort();
    const running = new AbortController();
    this.#running = running;
    const { path, query } = this.#from();
    try {
      const answer = await get<A>(path, {
        query: { ...query, [this.#pages.after]: after, limit },
        signal: running.signal,
      });
      if (this.#running !== running) return;
      const page = this.#pages.read(answer);
      take(page);
      this.#total = page.Total;
      this.#next = page.Next;
      this.#error = '';
      this.#status = 0;
      this.#loaded = true;
    } catch (error) {
      if (this.#running !== running || running.signal.aborted) return;
      this.#error = explain(error);
      this.#status = error instanceof ApiError ? error.status : 0;
    }
  }

  /** Takes over one row that changed; where it stands changes with the next load only. */
  update(item: T): boolean {
    const key = this.#key(item);
    const at = this.#items.findIndex((one) => this.#key(one) === key);
    if (at < 0) return false;
    this.#items = this.#items.with(at, item);
    return true;
  }

  remove(key: string): void {
    this.#items = this.#items.filter((one) => this.#key(one) !== key);
  }

  stop(): void {
    this.#running?.abort();
  }
}

/** Runs `then` whenever what `watched` reads has changed; not at first, when the stream says to fetch. */
export function whenChanged(watched: () => unknown, then: () => void): void {
  let first = true;
  $effect(() => {
    watched();
    if (!first) untrack(then);
    first = false;
  });
}

/** Calls something soon, and not more often than every `milliseconds`, however often it is asked for. */
export function calmly(
  milliseconds: number,
  run: () => void,
): { ask: () => void; stop: () => void } {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let last = -Infinity;
  return {
    ask() {
      if (timer !== undefined) return;
      const wait = Math.max(0, last + milliseconds - performance.now());
      timer = setTimeout(() => {
        timer = undefined;
        last = performance.now();
        run();
      }, wait);
    },
    stop() {
      clearTimeout(timer);
      timer = undefined;
    },
  };
}
