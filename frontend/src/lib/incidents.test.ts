import { afterEach, expect, it, vi } from 'vitest';
import { incidents } from './incidents.svelte';

const answer = (value: unknown, status = 200) =>
  vi.stubGlobal('fetch', () =>
    Promise.resolve(
      new Response(JSON.stringify(value), {
        status,
        headers: { 'Content-Type': 'application/json' },
      }),
    ),
  );
afterEach(() => vi.unstubAllGlobals());

it('counts what nobody looks after, also where not all are listed', async () => {
  const Ack = { Id: 1, Author: 'ada' };
  answer({
    Open: 120,
    Incidents: [
      { Id: 'a', Ack },
      { Id: 'b', Ack: null },
    ],
    More: true,
  });
  await incidents.load();
  expect([incidents.total, incidents.unacked, incidents.open.length]).toEqual([120, 119, 2]);
});

it('keeps what it knew while the server does not answer, and tells nobody of a change', async () => {
  answer({ Open: 1, Incidents: [{ Id: 'a', Ack: null }], More: false });
  await incidents.load();
  const before = incidents.changes;
  answer('the database cannot be read', 503);
  await incidents.load();
  expect([incidents.total, incidents.changes]).toEqual([1, before]);
});
