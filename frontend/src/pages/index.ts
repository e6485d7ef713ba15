/** Every page: one entry each. The order here is the order in the navigation. */
import type { Component } from 'svelte';
import type { IconName } from '../components/icons';
import { incidents } from '../lib/incidents.svelte';
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
    section: 'watch' | 'tell' | 'manage';
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
  page('/incidents', 'Incidents', () => import('./incidents/Incidents.svelte'), { nav: { section: 'watch', icon: 'incident', key: 'n', badge: () => incidents.unacked } }),
  page('/incidents/:id', 'Incident', () => import('./incidents/Incident.svelte')),
  page('/hosts', 'Hosts', () => import('./hosts/Hosts.svelte'), { nav: { section: 'watch', icon: 'hosts', key: 'h' } }),
  page('/group', 'Group', () => import('./group/Group.svelte')),
  page('/hosts/:host', 'Host', () => import('./host/Host.svelte')),
  page('/hosts/:host/probes/:probe', 'Probe', () => import('./probe/Probe.svelte')),
  page('/wall', 'Wall', () => import('./wall/Wall.svelte'), { bare: true, nav: { section: 'watch', icon: 'wall', key: 'w' } }),
  page('/logs', 'Logs', () => import('./logs/Logs.svelte'), { nav: { section: 'watch', icon: 'logs', key: 'l' } }),
  page('/held', 'Held back', () => import('./held/Held.svelte'), { nav: { section: 'tell', icon: 'silence', key: 'b' } }),
  page('/maintenance', 'Maintenance', () => import('./maintenance/Maintenance.svelte'), { nav: { section: 'tell', icon: 'wrench', key: 'm' } }),
  page('/channels', 'Channels', () => import('./channels/Channels.svelte'), { nav: { section: 'tell', icon: 'send', key: 'c' } }),
  page('/messages', 'Messages', () => import('./messages/Messages.svelte'), { nav: { section: 'tell', icon: 'letter', key: 's' } }),
  page('/why', 'Why', () => import('./why/Why.svelte'), { nav: { section: 'tell', icon: 'why', key: 'y' } }),
  page('/disabled', 'Disabled', () => import('./disabled/Disabled.svelte'), { nav: { section: 'manage', icon: 'disabled', key: 'd' } }),
  page('/orders', 'Orders', () => import('./disabled/Orders.svelte'), { nav: { section: 'manage', icon: 'clock', key: 'r', badge: (counts) => counts.OrdersWaiting } }),
  page('/authority', 'Authority', () => import('./authority/Authority.svelte'), { nav: { section: 'manage', icon: 'authority', key: 'a', badge: (counts) => counts.Waiting } }),
  page('/access', 'Access', () => import('./access/Access.svelte'), { nav: { section: 'manage', icon: 'access', key: 't', operator: true } }),
  page('/audit', 'Audit', () => import('./audit/Audit.svelte'), { nav: { section: 'manage', icon: 'audit', key: 'u', operator: true } }),
  page('/about', 'About', () => import('./about/About.svelte'), { nav: { section: 'manage', icon: 'about', key: 'i' } }),
  page('/login', 'Sign in', () => import('./login/Login.svelte'), { bare: true }),
];
