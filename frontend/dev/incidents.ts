/** Made-up incidents: what is open now, what was, and who was told of it. */
import type {
  Ack,
  Channel,
  Decision,
  Incident,
  Member,
  Moment,
  Notification,
  NotificationDetail,
  Outcome,
  Step,
  Told,
  Try,
} from '../src/lib/notify-types';
import * as fleet from './fleet.ts';

export const second = (): number => Math.floor(fleet.now());
export const HOUR = 3600;

export const channels: Channel[] = [
  ['mail', 'email', 'ok', 'every incident of level warning or worse'],
  [
    'ops-slack',
    'slack',
    'ok',
    'incidents of level critical or worse in the groups web and database',
  ],
  ['pager', 'pagerduty', 'failing', 'escalations after 15 min'],
  ['phone', 'twilio', 'ok', 'used when pager fails'],
  ['<b>hook</b>', 'webhook', 'unused', 'hosts with role=storage, Monday to Friday'],
].map(([Name, Type, Health, For], n) => ({
  Name: Name as string,
  Type: Type as string,
  Health: Health as Channel['Health'],
  Waiting: n === 2 ? 3 : 0,
  Dead: n === 2 ? 2 : 0,
  Delivered: n === 4 ? null : second() - [240, 260, 9_000, 8_800][n]!,
  Failed: n === 2 ? second() - 35 : null,
  Error: n === 2 ? 'events.pagerduty.com answered 503 Service Unavailable: upstream timed out' : '',
  Escalation: n === 2,
  RemindersOnly: false,
  Fallback: n === 2 ? 'phone' : null,
  For: For as string,
}));

let lastId = 100;
export const id = (): number => (lastId += 1);
const uuid = (n: number): string => `10000000-0000-5000-8000-${n.toString(16).padStart(12, '0')}`;

function word(status: number): string {
  if (status === 100) return 'OK';
  if (status < 200) return 'INFO';
  if (status < 300) return 'WARN';
  if (status < 500) return 'CRIT';
  return status < 999 ? 'ERROR' : 'DOWN';
}

export interface Made extends Incident {
  Subjects: Member[];
  Timeline: Moment[];
  Unlisted: number;
}
export const incidents: Made[] = [];
export const notifications: NotificationDetail[] = [];
export const decisions: Decision[] = [];

const ways = (...steps: [string, boolean, string][]): Step[] =>
  steps.map(([Reason, Passed, Detail]) => ({ Reason, Passed, Detail }));
const early = (status: number): [string, boolean, string][] => [
  ['result', true, `${word(status)}, before that OK`],
  ['enabled', true, 'OnProbeChange is on'],
  ['confirmed', true, '3 of 3 runs'],
  ['flapping', true, '1 change in 10 min'],
  ['blind', true, ''],
  ['parent', true, 'fra-master is up'],
  ['acknowledged', true, ''],
];

function decide(
  incident: Incident,
  at: number,
  channel: string | null,
  outcome: Outcome,
  chain: Step[],
  notification: NotificationDetail | null,
): void {
  decisions.push({
    Id: id(),
    At: at,
    Host: incident.Host,
    Probe: incident.Probe,
    Entry: 4_000 + lastId,
    Incident: incident.Id,
    Channel: channel,
    Status: incident.Status,
    Outcome: outcome,
    Reason: chain.at(-1)?.Reason ?? '',
    Chain: chain,
    Notification: notification,
  });
}

function send(
  incident: Made,
  channel: string,
  kind: string,
  at: number,
  state: Notification['State'] = 'sent',
): void {
  const failed: Try = {
    At: at + 1,
    Ok: false,
    Text: 'events.pagerduty.com answered 503 Service Unavailable: upstream timed out',
    Milliseconds: 10_004,
  };
  const tries: Try[] =
    state === 'sent'
      ? [{ At: at, Ok: true, Text: '250 2.0.0 Ok: queued as 4Xk2Yz', Milliseconds: 84 }]
      : [failed, { ...failed, At: at + 7, Text: 'timed out after 10 s' }];
  const over = kind === 'recovered';
  const title = `${incident.Host}${incident.Probe && ` / ${incident.Probe}`} is ${over ? 'OK' : word(incident.Worst)}: ${incident.Subjects[0]?.Output.slice(0, 60)}`;
  const one: NotificationDetail = {
    Id: id(),
    Key: `${incident.Id}:${notifications.length}:${channel}`,
    Channel: channel,
    Kind: kind,
    Incident: incident.Id,
    Host: incident.Host,
    Probe: incident.Probe,
    Title: title,
    Status: over ? 100 : incident.Worst,
    At: at,
    State: state,
    Attempts: tries.length,
    Next: state === 'waiting' ? second() + 340 : null,
    Delivered: state === 'sent' ? at + 1 : null,
    Answer: tries.at(-1)?.Text ?? '',
    Text: `${title}\n\nsince ${new Date(at * 1000).toISOString()}\n${incident.Subjects[0]?.Output}\n\nRunbook: https://wiki.example.org/disk\nhttps://wigo.example.org/incidents/${incident.Id}`,
    Tries: tries,
  };
  notifications.push(one);
  const known = incident.Told.find((told) => told.Channel === channel);
  if (state === 'sent') {
    if (known) [known.Last, known.Status] = [at, one.Status];
    else
      incident.Told.push({
        Channel: channel,
        Status: incident.Worst,
        First: at,
        Last: at,
        Reminders: 0,
      } satisfies Told);
  }
  const chain = ways(
    ...early(incident.Worst),
    ['silenced', true, ''],
    ['maintenance', true, ''],
    ['incident', true, incident.Title],
    ['routed', true, channels.find((c) => c.Name === channel)?.For ?? ''],
    ['level', true, 'CRIT is at least WARN'],
    ['told', true, over ? 'it was told of the problem' : 'it was not told yet'],
    ['rate_limit', true, '1 of 20 in a minute'],
  );
  decide(incident, at, channel, 'sent', chain, one);
}

function member(host: fleet.Host, probe: string, since: number, recovered: number | null): Member {
  const row = host.probes.get(probe);
  const status = row ? row.Status : 999;
  return {
    Host: host.row.Name,
    Probe: probe,
    Group: host.row.Group,
    Status: recovered === null ? status : 100,
    Worst: Math.max(status, 300),
    Since: since,
    Recovered: recovered,
    Output: row ? row.Message : 'nothing heard for 45 s',
    Runbook:
      probe === 'check_ssl_cert'
        ? null
        : `https://wiki.example.org/runbooks/${probe || 'host-down'}`,
  };
}

function open(subjects: Member[], opened: number, unlisted = 0): Made {
  const bad = subjects.filter((one) => one.Recovered === null);
  const lead = subjects[0]!;
  const status = Math.max(100, ...bad.map((one) => one.Status));
  const worst = Math.max(...subjects.map((one) => one.Worst));
  const closed = bad.length ? null : Math.max(...subjects.map((one) => one.Recovered ?? 0));
  const name = `${lead.Host}${lead.Probe && ` / ${lead.Probe}`}`;
  const moments: Moment[] = subjects.flatMap((one, n) => [
    {
      At: one.Since,
      Event: n ? 'joined' : 'opened',
      Host: one.Host,
      Probe: one.Probe,
      Status: one.Worst,
      Text: `${one.Probe || one.Host} is ${word(one.Worst)}`,
      By: null,
    },
    ...(one.Recovered
      ? [
          {
            At: one.Recovered,
            Event: 'recovered',
            Host: one.Host,
            Probe: one.Probe,
            Status: 100,
            Text: `${one.Probe || one.Host} is OK again`,
            By: null,
          },
        ]
      : []),
  ]);
  const made: Made = {
    Id: uuid(incidents.length + 1),
    Title: `${name} is ${closed ? 'OK' : word(status)}: ${lead.Output.slice(0, 120)}`,
    State: closed ? 'closed' : 'open',
    Status: status,
    Worst: worst,
    Opened: opened,
    Closed: closed,
    Host: lead.Host,
    Probe: lead.Probe,
    Group: lead.Group,
    Members: subjects.length + unlisted,
    Bad: bad.length + unlisted,
    Ack: null,
    Silenced: false,
    Told: [],
    Subjects: subjects,
    Unlisted: unlisted,
    Timeline: moments.sort((a, b) => a.At - b.At),
  };
  incidents.push(made);
  return made;
}

// Those of now: what is broken in the fleet, by host.
const ack = (by: string, status: number, reason: string): Ack => ({
  Id: id(),
  Author: by,
  Reason: reason,
  Status: status,
  CreatedAt: second() - 1_500,
  Until: null,
});
for (const host of fleet.hosts.values()) {
  const bad = [...host.probes.values()].filter((probe) => probe.Status >= 300);
  if (host.row.Presence === 'down') {
    const others = [...fleet.hosts.values()].filter((one) => one.row.Group === host.row.Group);
    const made = open(
      [
        member(host, '', host.row.Since, null),
        ...others
          .filter((one) => one !== host)
          .slice(0, 8)
          .map((one, n) => ({
            ...member(one, '', host.row.Since + 3 + n, n < 4 ? host.row.Since + 400 + n : null),
            Status: n < 4 ? 100 : 999,
            Worst: 999,
          })),
      ],
      host.row.Since,
      36,
    );
    send(made, 'mail', 'problem', made.Opened + 30);
    send(made, 'ops-slack', 'problem', made.Opened + 30);
    send(made, 'mail', 'joined', made.Opened + 60);
    send(made, 'pager', 'problem', made.Opened + 930, 'dead');
    send(made, 'phone', 'problem', made.Opened + 990);
    made.Told[0]!.Reminders = 2;
  } else if (bad.length && incidents.length < 9 && host.row.Presence === 'alive') {
    const since = Math.min(...bad.map((probe) => probe.Since));
    const made = open(
      bad.map((probe) => member(host, probe.Name, probe.Since, null)),
      since,
    );
    if (incidents.length % 4 === 2) {
      made.Silenced = true;
      const chain = ways(...early(made.Status), [
        'silenced',
        false,
        `ada until ${new Date((second() + 9_000) * 1000).toISOString().slice(0, 16)}Z: storage is being moved`,
      ]);
      decide(made, since + 60, null, 'held', chain, null);
    } else {
      send(made, 'mail', 'problem', since + 60);
      if (incidents.length % 4 === 3) {
        made.Ack = ack('grace', made.Status, 'ticket OPS-4411, waiting for the new disk');
        made.Timeline.push({
          At: made.Ack.CreatedAt,
          Event: 'acknowledged',
          Host: made.Host,
          Probe: made.Probe,
          Status: made.Status,
          Text: made.Ack.Reason,
          By: 'grace',
        });
      } else if (incidents.length % 4 === 0)
        send(made, 'pager', 'reminder', second() - 60, 'waiting');
      const chain = ways(
        ...early(made.Status),
        ['incident', true, made.Title],
        ['routed', false, 'ops-slack is for the groups web and database'],
      );
      decide(made, since + 60, 'ops-slack', 'held', chain, null);
    }
  }
}
// And those of the last weeks.
export const calmHosts = [...fleet.hosts.values()].filter((host) => host.row.Presence === 'alive');
for (let n = 0; n < 130; n += 1) {
  const host = calmHosts[Math.floor(fleet.chance() * calmHosts.length)]!;
  const names = [...host.probes.keys()];
  const at = second() - 4 * HOUR - Math.floor(n * 1.7 * HOUR);
  const lasted = 120 + Math.floor(fleet.chance() ** 3 * 6 * HOUR);
  const some = names.slice(n % 4, (n % 4) + 1 + (n % 3));
  const made = open(
    some.map((name) => ({
      ...member(host, name, at, at + lasted),
      Worst: [200, 300, 300, 500][n % 4]!,
    })),
    at,
  );
  send(made, 'mail', 'problem', at + 60);
  if (n % 3) send(made, 'mail', 'recovered', at + lasted + 5);
}
