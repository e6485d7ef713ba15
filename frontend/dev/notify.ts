/** Answers about incidents, messages, and what holds them back; what is changed stays changed. */
import type {
  Incident,
  IncidentDetail,
  Notification,
  NotificationDetail,
  Suppression,
  Suppressions,
  Why,
} from '../src/lib/notify-types';
import * as fleet from './fleet.ts';
import {
  calmHosts,
  channels,
  decisions,
  HOUR,
  id,
  incidents,
  notifications,
  second,
  type Made,
} from './incidents.ts';
import type { Answer, Asked } from './manage.ts';
import * as windows from './windows.ts';

/** What somebody changed, to be told to open pages. */
export const told: ('incident' | 'suppressions')[] = [];

let suppressions: Suppression[] = [
  ...incidents
    .filter((one) => one.Ack)
    .map((one) => ({
      Id: one.Ack!.Id,
      Kind: 'ack' as const,
      Scope: 'host' as const,
      Target: one.Host,
      Probe: one.Probe,
      Reason: one.Ack!.Reason,
      Author: one.Ack!.Author,
      Status: one.Ack!.Status,
      CreatedAt: one.Ack!.CreatedAt,
      Until: null,
      Held: 4,
    })),
  ...incidents
    .filter((one) => one.Silenced)
    .map((one) => ({
      Id: id(),
      Kind: 'silence' as const,
      Scope: 'host' as const,
      Target: one.Host,
      Probe: '',
      Reason: 'storage is being moved',
      Author: 'ada',
      Status: 0,
      CreatedAt: second() - 3_000,
      Until: second() + 9_000,
      Held: 1,
    })),
  {
    Id: id(),
    Kind: 'silence',
    Scope: 'labels',
    Target: 'env=staging,role=build',
    Probe: '',
    Reason: '',
    Author: 'deploy pipeline',
    Status: 0,
    CreatedAt: second() - 300,
    Until: second() + 600,
    Held: 0,
  },
  {
    Id: id(),
    Kind: 'silence',
    Scope: 'group',
    Target: '<b>group</b>',
    Probe: 'hardware_disks',
    Reason: '<script>alert("reason")</script>',
    Author: 'ada',
    Status: 0,
    CreatedAt: second() - 90_000,
    Until: second() + 5 * 86_400,
    Held: 112,
  },
];

function heldNow(): Suppressions {
  const flapping = calmHosts[11]!;
  return {
    WriteActionsAllowed: process.env.WIGO_MOCK_WRITE !== 'no',
    Suppressions: suppressions,
    Flapping: [`${flapping.row.Name}/check_dns`],
    BehindSomethingDown: calmHosts
      .slice(20, 23)
      .map((host) => ({ Host: host.row.Name, Behind: 'edge-17.example.org' })),
    Windows: windows.all().filter((one) => one.Open),
    Blind: process.env.WIGO_MOCK_BLIND === 'yes',
    Quiet: { Active: true, Until: second() + 2 * HOUR },
  };
}

/** Without what only the answer about one of them has. */
function without<T extends object, K extends keyof T>(one: T, ...names: K[]): Omit<T, K> {
  const rest = { ...one };
  for (const name of names) delete rest[name];
  return rest;
}
const plain = (one: Made): Incident => without(one, 'Subjects', 'Timeline', 'Unlisted');
const brief = (one: NotificationDetail): Notification => without(one, 'Text', 'Tries');

function cut<T>(rows: T[], query: URLSearchParams, of: (row: T) => string) {
  const before = query.get('before');
  const from = before ? rows.findIndex((row) => of(row) === before) + 1 : 0;
  const to = from + Number(query.get('limit') ?? 100);
  return { rows: rows.slice(from, to), More: to < rows.length };
}

const fits = (query: URLSearchParams, name: string, value: string): boolean =>
  !query.get(name) || query.get(name) === value;

/** By whom, in the words of the policy. */
function heldBy(host: string, kind: Suppression['Kind']): string | null {
  const one = suppressions.find((one) => one.Target === host && one.Kind === kind);
  return one ? `${one.Author}: ${one.Reason}` : null;
}

export function read({ parts, query }: Asked): Answer {
  const calm = process.env.WIGO_MOCK === 'calm';
  const [area, key = ''] = parts;
  if (area === 'incidents' && key) {
    const one = incidents.find((made) => made.Id === key);
    if (!one) return { value: `there is no incident \`${key}\``, status: 404 };
    return {
      value: {
        ...one,
        Notifications: notifications
          .filter((n) => n.Incident === key)
          .map(brief)
          .reverse(),
        Decisions: decisions.filter((d) => d.Incident === key).reverse(),
      } satisfies IncidentDetail,
    };
  }
  if (area === 'incidents') {
    const state = query.get('state') ?? 'all';
    const since = Number(query.get('since') ?? 0);
    const until = Number(query.get('until') ?? Infinity);
    const all = incidents
      .filter((one) => !calm || one.State === 'closed')
      .filter((one) => state === 'all' || one.State === state)
      .filter(
        (one) =>
          one.Subjects.some(
            (s) =>
              fits(query, 'host', s.Host) &&
              fits(query, 'group', s.Group) &&
              fits(query, 'probe', s.Probe),
          ) &&
          (one.Closed ?? Infinity) >= since &&
          one.Opened < until,
      )
      .sort(
        (a, b) =>
          b.State.localeCompare(a.State) ||
          (a.State === 'open' ? b.Status - a.Status : 0) ||
          b.Opened - a.Opened,
      );
    const { rows, More } = cut(all, query, (one) => one.Id);
    const Open = calm ? 0 : incidents.filter((one) => one.State === 'open').length;
    return { value: { Open, Incidents: rows.map(plain), More } };
  }
  if (area === 'notifications' && key) {
    const one = notifications.find((made) => String(made.Id) === key);
    return one ? { value: one } : { value: 'there is no such message', status: 404 };
  }
  if (area === 'notifications') {
    const all = notifications
      .filter(
        (one) =>
          fits(query, 'host', one.Host) &&
          fits(query, 'probe', one.Probe) &&
          fits(query, 'incident', one.Incident ?? '') &&
          fits(query, 'channel', one.Channel) &&
          fits(query, 'state', one.State) &&
          one.At >= Number(query.get('since') ?? 0),
      )
      .sort((a, b) => b.At - a.At);
    const { rows, More } = cut(all, query, (one) => String(one.Id));
    return { value: { Notifications: rows.map(brief), More } };
  }
  if (area === 'suppressions') return { value: heldNow() };
  if (area === 'channels') return { value: { Channels: channels } };
  if (area === 'why') {
    const [host, probe] = [query.get('host') ?? '', query.get('probe') ?? ''];
    const found = fleet.find(host) ?? [...fleet.hosts.values()].find((h) => h.row.Name === host);
    const row = found?.probes.get(probe);
    const own = decisions.filter((one) => one.Host === host && fits(query, 'probe', one.Probe));
    return {
      value: {
        Host: host,
        Probe: probe,
        At: second(),
        Standing: found
          ? {
              Status: row?.Status ?? found.row.Status,
              Confirmed: row?.Status ?? found.row.Status,
              Since: row?.Since ?? found.row.Since,
              Flapping: false,
              Silenced: heldBy(host, 'silence'),
              Acked: heldBy(host, 'ack'),
              Behind: null,
            }
          : null,
        Decisions: own.sort((a, b) => b.At - a.At),
      } satisfies Why,
    };
  }
  return null;
}

const LENGTHS: Record<string, number> = { s: 1, m: 60, h: HOUR, d: 86_400 };
function ends(query: URLSearchParams): number | null {
  const found = /^(\d+)([smhd]?)$/.exec(query.get('for') ?? '');
  return found ? second() + Number(found[1]) * (LENGTHS[found[2] || 's'] ?? 1) : null;
}

function lift(gone: (one: Suppression) => boolean): void {
  for (const one of suppressions.filter(gone))
    for (const made of incidents) {
      if (one.Kind === 'ack' && made.Ack?.Id === one.Id) made.Ack = null;
      if (one.Kind === 'silence' && made.Host === one.Target) made.Silenced = false;
    }
  suppressions = suppressions.filter((one) => !gone(one));
}

function hold(
  query: URLSearchParams,
  Kind: Suppression['Kind'],
  Scope: Suppression['Scope'],
  Target: string,
  Probe: string,
): Suppression {
  const made: Suppression = {
    Id: id(),
    Kind,
    Scope,
    Target,
    Probe,
    Reason: query.get('reason') ?? '',
    Author: 'ada',
    Status: 0,
    CreatedAt: second(),
    Until: ends(query),
    Held: 0,
  };
  for (const one of incidents) {
    if (one.State !== 'open') continue;
    const same =
      Scope === 'group'
        ? one.Group === Target
        : one.Host === Target && (!Probe || one.Probe === Probe);
    if (!same) continue;
    if (Kind === 'silence') one.Silenced = true;
    else {
      made.Status = one.Status;
      const { Id, Author, Reason, Status, CreatedAt, Until } = made;
      one.Ack = { Id, Author, Reason, Status, CreatedAt, Until };
    }
    one.Timeline.push({
      At: second(),
      Event: Kind === 'ack' ? 'acknowledged' : 'silenced',
      Host: one.Host,
      Probe: one.Probe,
      Status: one.Status,
      Text: made.Reason,
      By: 'ada',
    });
  }
  suppressions = [made, ...suppressions];
  return made;
}

/** Does what is asked; null if it is about something else. */
export async function change({ parts, query }: Asked): Promise<Answer> {
  const [area, key = '', act = parts.at(-1) ?? ''] = parts;
  const probe = query.get('probe') ?? '';
  const name = fleet.find(key)?.row.Name ?? key;
  const done = (value: unknown = 'OK'): Answer => {
    told.push('incident', 'suppressions');
    return { value };
  };
  if (area === 'incidents' && act === 'ack') {
    const one = incidents.find((made) => made.Id === key);
    return one ? done(hold(query, 'ack', 'host', one.Host, one.Probe)) : null;
  }
  if ((area === 'hosts' || area === 'groups') && parts.length === 3) {
    const scope = area === 'hosts' ? 'host' : 'group';
    if (act === 'ack') return done(hold(query, 'ack', scope, name, probe));
    if (act === 'silence') return done(hold(query, 'silence', scope, name, probe));
    if (act === 'unsuppress') {
      lift((one) => one.Scope === scope && one.Target === name && one.Probe === probe);
      return done();
    }
  }
  if (area === 'silences')
    return done(hold(query, 'silence', 'labels', query.get('labels') ?? '', probe));
  if (area === 'suppressions' && act === 'lift') {
    lift((one) => String(one.Id) === key);
    return done();
  }
  if (area === 'channels' && act === 'test') {
    await new Promise((go) => setTimeout(go, 700));
    const channel = channels.find((one) => one.Name === key);
    return channel?.Health === 'failing'
      ? { value: `${channel.Name}: ${channel.Error}`, status: 502 }
      : { value: { Answer: '250 2.0.0 Ok: queued as 4Xk3Aa', Milliseconds: 132 } };
  }
  if (area === 'notifications' && act === 'resend') {
    const one = notifications.find((made) => String(made.Id) === key);
    if (!one) return { value: 'there is no such message', status: 404 };
    [one.State, one.Next] = ['waiting', second() + 1];
    return done();
  }
  return null;
}
