/** The time by the server's clock, ticking once a second while somebody looks. */

/** How far the server's clock is ahead of ours, in seconds. */
let offset = 0;
let now = $state(Date.now() / 1000);

export const time = {
  /** Unix seconds by the server's clock; reading it in a component updates that each second. */
  get now(): number {
    return now;
  },
  /** Takes over what the server says the time is. */
  set(serverNow: number): void {
    if (!(serverNow > 0)) return;
    offset = serverNow - Date.now() / 1000;
    tick();
  },
};

function tick(): void {
  now = Date.now() / 1000 + offset;
}

if (typeof document !== 'undefined') {
  setInterval(() => document.visibilityState === 'visible' && tick(), 1000);
  document.addEventListener('visibilitychange', tick);
}
