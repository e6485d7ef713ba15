/** Where we are: the path and the filters in the address, and how to get elsewhere. */
import type { Query } from './api';
import { href, ours } from './base';

export interface Place {
  /** Still encoded, without the base path. */
  path: string;
  query: URLSearchParams;
}

const here = (): Place => ({
  path: ours(location.pathname),
  query: new URLSearchParams(location.search),
});

let place = $state.raw<Place>(here());

export const router = {
  get path(): string {
    return place.path;
  },
  get query(): URLSearchParams {
    return place.query;
  },
  /** Goes to another page of ours, by its address as in a link. */
  go(to: string, options: { replace?: boolean } = {}): void {
    if (options.replace) history.replaceState(history.state, '', to);
    else {
      history.replaceState({ y: scrollY }, '');
      history.pushState(null, '', to);
    }
    const before = place.path;
    place = here();
    if (place.path !== before) scrollTo(0, 0);
  },
  /** Changes filters of this page; empty ones leave the address. Typing replaces, choosing is a step back. */
  filter(changes: Query, options: { replace?: boolean } = {}): void {
    router.go(withFilters(place.path, place.query, changes), options);
  },
};

/** The address of a page with some of its parameters changed. */
export function withFilters(path: string, query: URLSearchParams, changes: Query): string {
  const next = new URLSearchParams(query);
  for (const [name, value] of Object.entries(changes)) {
    if (value === '' || value === null || value === undefined) next.delete(name);
    else next.set(name, String(value));
  }
  const text = next.toString();
  return href(text ? `${path}?${text}` : path);
}

/** What a pattern like `/hosts/:host` finds in a path, decoded; null if it does not fit. */
export function match(pattern: string, path: string): Record<string, string> | null {
  const [wanted, found] = [segments(pattern), segments(path)];
  if (wanted.length !== found.length) return null;
  const parameters: Record<string, string> = {};
  for (const [index, segment] of wanted.entries()) {
    const value = found[index] ?? '';
    if (segment.startsWith(':')) {
      try {
        parameters[segment.slice(1)] = decodeURIComponent(value);
      } catch {
        return null;
      }
    } else if (segment !== value) return null;
  }
  return parameters;
}

function segments(path: string): string[] {
  return path.split('/').filter((segment) => segment !== '');
}

/** Only a path on this host may be gone to after the login. */
export function safeNext(next: string | null): string {
  if (!next || !/^\/(?![/\\])/.test(next) || next.startsWith('/api') || next.startsWith('/login'))
    return '/';
  return next;
}

/** Addresses of pages. Each part is encoded: names can contain anything. */
export const links = {
  overview: (query: Query = {}) => withFilters('/', new URLSearchParams(), query),
  group: (name: string) => withFilters('/group', new URLSearchParams(), { name }),
  host: (key: string) => href(`/hosts/${encodeURIComponent(key)}`),
  probe: (key: string, probe: string) =>
    href(`/hosts/${encodeURIComponent(key)}/probes/${encodeURIComponent(probe)}`),
  logs: (query: Query = {}) => withFilters('/logs', new URLSearchParams(), query),
  incidents: (query: Query = {}) => withFilters('/incidents', new URLSearchParams(), query),
  incident: (id: string) => href(`/incidents/${encodeURIComponent(id)}`),
  /** A host, or one of its probes. */
  subject: (host: string, probe: string) => (probe ? links.probe(host, probe) : links.host(host)),
  why: (host: string, probe: string) => withFilters('/why', new URLSearchParams(), { host, probe }),
  messages: (query: Query = {}) => withFilters('/messages', new URLSearchParams(), query),
};

/** How long to wait for a page to be as long as it was, in milliseconds. */
const RESTORE = 1_000;

/** Scrolls to where somebody was before, as soon as what was there is there again. */
function scrollBack(y: number): void {
  const [from, until] = [place, performance.now() + RESTORE];
  const step = () => {
    if (place !== from) return;
    const there = document.documentElement.scrollHeight >= y + innerHeight;
    if (there || performance.now() > until) scrollTo(0, y);
    else requestAnimationFrame(step);
  };
  step();
}

/** Lets plain links be handled here: no page is loaded anew. */
export function followLinks(root: HTMLElement | Document): () => void {
  const click = (event: Event) => {
    const mouse = event as MouseEvent;
    if (mouse.defaultPrevented || mouse.button !== 0) return;
    if (mouse.metaKey || mouse.ctrlKey || mouse.shiftKey || mouse.altKey) return;
    const link = (mouse.target as Element | null)?.closest?.('a');
    if (!link || link.target || link.hasAttribute('download')) return;
    const url = new URL(link.href, location.href);
    if (url.origin !== location.origin || /^\/(api|metrics|healthz)(\/|$)/.test(ours(url.pathname)))
      return;
    // A place on this page is the browser's to find.
    if (url.hash && url.pathname + url.search === location.pathname + location.search) return;
    mouse.preventDefault();
    if (url.href !== location.href) router.go(url.pathname + url.search + url.hash);
  };
  const back = (event: PopStateEvent) => {
    place = here();
    scrollBack((event.state as { y?: number } | null)?.y ?? 0);
  };
  root.addEventListener('click', click);
  addEventListener('popstate', back);
  return () => {
    root.removeEventListener('click', click);
    removeEventListener('popstate', back);
  };
}
