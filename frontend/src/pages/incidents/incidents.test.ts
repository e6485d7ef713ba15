// @vitest-environment node
import { expect, it } from 'vitest';
import type { Incident, Member } from '../../lib/notify-types';
import { hasText, incidentPages, worstMembersFirst } from './incidents';

const member = (Host: string, Status: number, Since: number, Recovered: number | null = null) =>
  ({ Host, Status, Since, Recovered }) as Member;

it('puts what is broken first, worst first, the cause before what followed', () => {
  const sorted = worstMembersFirst([
    member('over early', 100, 1, 50),
    member('warn', 200, 5),
    member('followed', 999, 9),
    member('cause', 999, 2),
    member('over late', 100, 1, 60),
  ]);
  expect(sorted.map((one) => one.Host)).toEqual([
    'cause',
    'followed',
    'warn',
    'over late',
    'over early',
  ]);
});

it('asks for what follows before the last one, and for nothing at the end', () => {
  const Incidents = [{ Id: 'a' }, { Id: 'b' }] as Incident[];
  expect(incidentPages.read({ Open: 7, Incidents, More: true })).toMatchObject({
    Total: 7,
    Next: 'b',
  });
  expect(incidentPages.read({ Open: 7, Incidents, More: false }).Next).toBe('');
});

it('finds a text in what is shown', () => {
  const one = {
    Title: 'db1 is DOWN',
    Host: 'db1',
    Probe: '',
    Group: 'Data',
    Ack: null,
  } as Incident;
  expect(hasText(one, ' down ')).toBe(true);
  expect(hasText(one, 'data')).toBe(true);
  expect(hasText(one, 'web')).toBe(false);
});
