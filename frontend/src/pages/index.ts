/** Every page: one entry each. The order here is the order in the navigation. */
import type { Component } from 'svelte';
import type { Overlay } from '../lib/overlay.svelte';
import type { IconName } from '../components/icons';
import type { LiveEvents } from '../lib/types';

/** What a page gets: the parameters in its path. Filters are in `router.query`. */
export interface PageProps {
  parameters: Record<string, string>;
}

type Loader<Props extends Record<string, unknown>> = () => Promise<{ default: Component<Props> }>;

export interface PageDefinition {
  /** `:name` stands for one segment. */
  path: string;
  title: string;
  load: Loader<PageProps & Record<string, unknown>>;
  nav?: {
    section: 'watch' | 'manage';
    icon: IconName;
    /** The key after `g` that leads there. */
    key: string;
    /** Only for who may change things. */
    operator?: boolean;
    /** A number that wants attention. */
    badge?: (counts: LiveEvents['counts']) => number;
  };
  /** Fills the screen, without navigation. */
  bare?: boolean;
}

const page = (
  path: string,
  title: string,
  load: () => Promise<unknown>,
  rest: Pick<PageDefinition, 'nav' | 'bare'> = {},
): PageDefinition => ({ path, title, load: load as PageDefinition['load'], ...rest });

// prettier-ignore
export const pages: PageDefinition[] = [
  page('/', 'Overview', () => import('./overview/Overview.svelte'), { nav: { section: 'watch', icon: 'pulse', key: 'o' } }),
  page('/hosts', 'Hosts', () => import('./hosts/Hosts.svelte'), { nav: { section: 'watch', icon: 'hosts', key: 'h' } }),
  page('/group', 'Group', () => import('./group/Group.svelte')),
  page('/hosts/:host', 'Host', () => import('./host/Host.svelte')),
  page('/hosts/:host/probes/:probe', 'Probe', () => import('./probe/Probe.svelte')),
  page('/wall', 'Wall', () => import('./wall/Wall.svelte'), { bare: true, nav: { section: 'watch', icon: 'wall', key: 'w' } }),
];

/** What lies over a page; each gets `close`. */
export const overlays: Partial<Record<Overlay, Loader<{ close: () => void }>>> = {};
