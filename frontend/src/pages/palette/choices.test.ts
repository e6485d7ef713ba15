import { describe, expect, it } from 'vitest';
import { foundChoices, incidentChoices, logChoices, pageChoices, step } from './choices';

const targets = [
  { path: '/', title: 'Overview', keys: 'g o' },
  { path: '/logs', title: 'Logs', keys: 'g l' },
  { path: '/about', title: 'About', keys: 'g i' },
];

describe('the palette', () => {
  it('offers all pages before something is typed', () => {
    expect(pageChoices(targets, ' ')).toHaveLength(3);
  });

  it('offers the pages that begin with the text', () => {
    expect(pageChoices(targets, 'O').map((choice) => choice.title)).toEqual(['Overview']);
    expect(pageChoices(targets, 'lo').map((choice) => choice.href)).toEqual(['/logs']);
    expect(pageChoices(targets, 'x')).toEqual([]);
  });

  it('encodes names into addresses', () => {
    const empty = { Hosts: [], Groups: [] };
    const probe = {
      Host: 'a b',
      HostName: 'a b',
      Group: '',
      Name: '<i>/?',
      Status: 300,
      Message: '',
      Since: 0,
      Timestamp: 0,
      Interval: 60,
      Stale: false,
    };
    const [found] = foundChoices({ ...empty, Probes: [probe] });
    const [log] = logChoices('<i>');
    expect(found?.href).toBe('/hosts/a%20b/probes/%3Ci%3E%2F%3F');
    expect(found?.level).toBe('crit');
    expect(log?.href).toBe('/logs?q=%3Ci%3E');
    expect(logChoices(' ')).toEqual([]);
  });

  it('offers open incidents by their title, and who looks after them', () => {
    const open = { Id: 'a/b', Title: 'db1 is DOWN', Status: 999, Ack: null };
    const ack = { Id: 1, Author: 'ada', Reason: '', Status: 999, CreatedAt: 0, Until: null };
    expect(incidentChoices([open], 'DB1')).toMatchObject([
      { href: '/incidents/a%2Fb', level: 'down', beside: '' },
    ]);
    expect(incidentChoices([{ ...open, Ack: ack }], 'down')[0]?.beside).toBe('ada looks after it');
    expect(incidentChoices([open], ' ')).toEqual([]);
  });

  it('goes round at the ends', () => {
    expect([step(0, -1, 3), step(2, 1, 3), step(-1, 1, 3), step(0, 1, 0)]).toEqual([2, 0, 0, -1]);
  });
});
