/** What every page knows: who we are, the counts, how fresh that is, and the stream it comes by. */
import { href } from './base';
import { get, onUnauthorized } from './api';
import { time } from './clock.svelte';
import { held, incidents } from './incidents.svelte';
import { Live, type LiveState } from './live';
import { router } from './router.svelte';
import { toast } from './toast.svelte';
import type { Counts, LiveEvents, Summary, Whoami } from './types';

let who = $state.raw<Whoami | null>(null);
let counts = $state.raw<LiveEvents['counts'] | null>(null);
let state = $state<LiveState>('connecting');
let heard = $state(0);
let version = $state('');

export const live = new Live(
  {
    open: (url) => new EventSource(url),
    glance: async () => {
      const summary = await get<Summary>('/api/summary', { query: { problems: 1, groups: 1 } });
      takeCounts(summary);
      void incidents.load();
    },
    hidden: () => document.visibilityState === 'hidden',
    random: Math.random,
    now: Date.now,
  },
  (live) => {
    state = live.state;
    heard = live.heard;
  },
);

function takeCounts(from: {
  Now: number;
  Status: number;
  Hosts: Counts;
  Probes: Counts;
  Waiting: number;
  OrdersWaiting: number;
}): void {
  const { Now, Status, Hosts, Probes, Waiting, OrdersWaiting } = from;
  time.set(Now);
  counts = { Now, Status, Hosts, Probes, Waiting, OrdersWaiting };
}

export const session = {
  /** Null until the server said. */
  get who(): Whoami | null {
    return who;
  },
  get counts(): LiveEvents['counts'] | null {
    return counts;
  },
  get state(): LiveState {
    return state;
  },
  get version(): string {
    return version;
  },
  /** Seconds since something was heard; reading it updates each second. */
  get age(): number {
    void time.now;
    return heard === 0 ? 0 : Math.max(0, (Date.now() - heard) / 1000);
  },
  /** What is shown may be outdated. */
  get stale(): boolean {
    return heard !== 0 && session.age > STALE_AFTER;
  },
  get mayChange(): boolean {
    return who?.Role === 'operator';
  },
  /** Asks who we are; throws if nothing answers. */
  async identify(): Promise<Whoami> {
    who = await get<Whoami>('/api/whoami', { keepHere: true });
    if (who.Role === 'none') toLogin();
    return who;
  },
};

/** Age in seconds from which data looks stale; the stream says something every 10 s. */
export const STALE_AFTER = 30;

function toLogin(): void {
  if (router.path === '/login') return;
  const next = router.path + (router.query.size ? `?${router.query}` : '');
  router.go(href(`/login?next=${encodeURIComponent(next)}`), { replace: true });
}

/** Begins to listen. To be called once we may read. */
export function startSession(): void {
  onUnauthorized(() => {
    live.stop();
    toLogin();
  });
  live.always({
    hello: (hello) => {
      time.set(hello.Now);
      if (who && who.Role !== hello.Caller.Role) void session.identify().catch(() => {});
      if (version && version !== hello.Version)
        toast.trouble(
          `The server runs version ${hello.Version} now. Load this page again for its pages.`,
        );
      version = hello.Version;
    },
    counts: takeCounts,
    summary: takeCounts,
    time: ({ Now }) => time.set(Now),
    incident: incidents.ask,
    suppressions: held.changed,
    refetch: () => {
      incidents.ask();
      held.changed();
    },
    changed: ({ What }) => {
      if (What === 'access') void session.identify().catch(() => {});
      // Events of single ones were missed.
      if (What === 'incidents') incidents.ask();
      if (What === 'suppressions') held.changed();
    },
  });
  document.addEventListener('visibilitychange', () => live.visibility());
  addEventListener('online', () => live.retry());
  addEventListener('offline', () => live.unplugged());
  live.start();
}
