/** Desktop notifications when it gets worse: only if somebody switched them on here, and the browser allows. */
import { get } from './api';
import { links, router } from './router.svelte';
import { live } from './session.svelte';
import { levelOf, wordOf } from './status';
import type { Counts, Page, ProblemRow } from './types';

const KEY = 'wigo.notify';
/** Problems named in one notification. */
const NAMED = 3;

let on = $state(load());
let before: number | null = null;

export const notifications = {
  get possible(): boolean {
    return 'Notification' in window && isSecureContext;
  },
  get on(): boolean {
    return on;
  },
  /** Asks the browser if it must; returns whether they are on now. */
  async set(wanted: boolean): Promise<boolean> {
    on = wanted && (await Notification.requestPermission()) === 'granted';
    try {
      localStorage.setItem(KEY, on ? '1' : '');
    } catch {
      // Storage is off: the choice lasts as long as the page.
    }
    live.keepHidden = on;
    return on;
  },
};

function load(): boolean {
  try {
    return localStorage.getItem(KEY) === '1' && Notification.permission === 'granted';
  } catch {
    return false;
  }
}

/** How many things a person should be told about. */
export function grave(hosts: Counts, probes: Counts): number {
  return hosts.Down + probes.Crit + probes.Error;
}

/** To be called with each new count. Tells if there is more that is grave than before. */
export function notice(hosts: Counts, probes: Counts): void {
  const now = grave(hosts, probes);
  const more = before !== null && now > before;
  before = now;
  live.keepHidden = on;
  if (more && on && document.visibilityState === 'hidden') void tell(now);
}

async function tell(count: number): Promise<void> {
  const query = { level: 'crit', limit: NAMED };
  const worst = await get<Page<ProblemRow>>('/api/summary/problems', { query }).catch(() => null);
  const lines = worst?.Items.map(
    (row) =>
      `${row.Kind === 'host' ? wordOf('down') : wordOf(levelOf(row.Status))}: ${row.HostName}${row.Probe && ` / ${row.Probe}`}`,
  );
  const title = count === 1 ? 'Wigo: 1 grave problem' : `Wigo: ${count} grave problems`;
  const notification = new Notification(title, { body: lines?.join('\n') ?? '', tag: 'wigo' });
  notification.onclick = () => {
    focus();
    router.go(links.overview());
    notification.close();
  };
}
