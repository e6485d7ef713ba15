/** Which incidents are listed, and in what order what is in one of them stands. */
import type { Pages } from '../../lib/resource.svelte';
import type { Incident, Incidents, Member } from '../../lib/notify-types';

/** They are asked for before the last one seen. */
export const incidentPages: Pages<Incident, Incidents> = {
  after: 'before',
  read: ({ Open, Incidents, More }) => ({
    Items: Incidents,
    Total: Open,
    Next: More ? (Incidents.at(-1)?.Id ?? '') : '',
  }),
};

/** Whether a text is in what the list shows of an incident. The server does not look for texts. */
export function hasText(one: Incident, text: string): boolean {
  const q = text.trim().toLowerCase();
  const fields = [one.Title, one.Host, one.Probe, one.Group, one.Ack?.Reason ?? ''];
  return fields.some((field) => field.toLowerCase().includes(q));
}

/** What is still broken first, worst first, and what broke first before what followed; then what is over, newest first. */
export function worstMembersFirst(members: readonly Member[]): Member[] {
  return [...members].sort(
    (a, b) =>
      Number(a.Recovered !== null) - Number(b.Recovered !== null) ||
      (a.Recovered === null ? b.Status - a.Status || a.Since - b.Since : 0) ||
      (b.Recovered ?? 0) - (a.Recovered ?? 0),
  );
}
