/** The open incidents, as every page knows them, and when what is held back has changed. */
import { get } from './api';
import type { Incident, Incidents } from './notify-types';
import { calmly } from './resource.svelte';

/** At most so many are fetched and counted one by one. */
const LIMIT = 100;
/** They are fetched again at most this often, in milliseconds. */
const CALM = 1_000;

let open = $state.raw<readonly Incident[]>([]);
let total = $state(0);
let changes = $state(0);
let heldChanges = $state(0);
let running: AbortController | undefined;

async function load(): Promise<void> {
  running?.abort();
  const mine = new AbortController();
  running = mine;
  try {
    const query = { state: 'open', limit: LIMIT };
    const answer = await get<Incidents>('/api/incidents', { query, signal: mine.signal });
    if (running !== mine) return;
    open = answer.Incidents;
    total = answer.Open;
    changes += 1;
  } catch {
    // What was known stays; the page that lists them says what is wrong.
  }
}
const again = calmly(CALM, () => void load());

export const incidents = {
  /** Worst first. */
  get open(): readonly Incident[] {
    return open;
  },
  get total(): number {
    return total;
  },
  /** Open, and nobody looks after them. */
  get unacked(): number {
    return total - open.filter((one) => one.Ack !== null).length;
  },
  /** Grows when one of them changed. */
  get changes(): number {
    return changes;
  },
  load,
  /** One has changed: they are fetched again soon. */
  ask: again.ask,
};

export const held = {
  /** Grows when what is held back changed. */
  get changes(): number {
    return heldChanges;
  },
  changed(): void {
    heldChanges += 1;
  },
};
