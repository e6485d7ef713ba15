/** Made-up answers for the pages about this instance and who may change it. */
import type {
  About,
  AuditEntry,
  Authority,
  DisabledRow,
  JoinToken,
  Order,
  Token,
  User,
  WaitingClient,
} from '../src/lib/types';
import * as fleet from './fleet.ts';

const second = (): number => Math.floor(fleet.now());
const hex = (digits: number): string =>
  Array.from({ length: digits }, () => Math.floor(fleet.chance() * 16).toString(16)).join('');

const hosts = [...fleet.hosts.values()];
const ca = hex(64);
let waiting: WaitingClient[] = [
  ['web-201.example.org', 'web', '192.0.2.41', 340, true, ''],
  [
    'database-07.example.org',
    'database',
    '2001:db8::7:41',
    86_000,
    false,
    'calls itself as database-07.example.org, which is allowed with another key',
  ],
  ['"><img src=x onerror=alert(1)>', '<script>', '198.51.100.9', 12, true, ''],
].map(([Hostname, Group, Address, ago, Connected, Note], n) => ({
  Uuid: `00000000-0000-4000-8000-0000000009${n}0`,
  Hostname: Hostname as string,
  Group: Group as string,
  Version: '1.0.0',
  Address: Address as string,
  Fingerprint: hex(64),
  Since: second() - (ago as number),
  Connected: Connected as boolean,
  Note: Note as string,
}));
let allowed = hosts.slice(1).map(({ row }, n) => ({
  Uuid: row.Uuid,
  Hostname: row.Name,
  Fingerprint: n % 40 === 3 ? null : hex(64),
}));
let joins: JoinToken[] = [
  { UsesLeft: 17, in: 50_000, Group: 'web', Host: '', LastUsed: second() - 3_000 },
  { UsesLeft: 1, in: 900, Group: '', Host: 'mail-14.example.org', LastUsed: 0 },
].map(({ in: left, ...rest }) => ({
  ...rest,
  Id: hex(12),
  ExpiresAt: second() + left,
  CreatedAt: second() - 36_000,
}));
const tokens: Token[] = [
  { Name: 'grafana', Role: 'readonly' as const, used: 12, ends: 0, revoked: 0 },
  { Name: 'deploy pipeline', Role: 'operator' as const, used: 7_200, ends: 860_000, revoked: 0 },
  { Name: 'old laptop', Role: 'operator' as const, used: 9e6, ends: 0, revoked: 8e6 },
  { Name: '<script>alert(1)</script>', Role: 'readonly' as const, used: 0, ends: -40, revoked: 0 },
].map(({ Name, Role, used, ends, revoked }, n) => ({
  Id: n + 1,
  Name,
  Role,
  CreatedAt: second() - 10_000_000 + n * 1_000_000,
  CreatedBy: 'ada',
  ExpiresAt: ends ? second() + ends : 0,
  RevokedAt: revoked ? second() - revoked : 0,
  LastUsed: used ? second() - used : 0,
}));
let users: User[] = [
  { Name: 'ada', Role: 'operator', Source: 'database', CreatedAt: second() - 4e6, Sessions: 2 },
  { Name: 'grace', Role: 'readonly', Source: 'database', CreatedAt: second() - 9e5, Sessions: 0 },
  { Name: 'night-desk', Role: 'operator', Source: 'configuration', CreatedAt: 0, Sessions: 1 },
];
let disabled: DisabledRow[] = hosts
  .filter(({ row }) => row.Uuid.endsWith('7'))
  .map(({ row }, n) => ({
    Probe: ['mdadm', 'check_dns', '<script>alert(1)</script>'][n % 3] as string,
    Reason: n % 3 === 1 ? '' : 'array is being rebuilt until Friday, see the ticket',
    Author: n % 2 ? 'ada' : 'grace (from 10.0.0.7, by way of control)',
    Interval: n % 4 ? 300 : 0,
    CreatedAt: second() - 86_000 * (n + 1),
    Until: n % 2 ? 0 : second() + 172_000,
    Host: row.Key,
    HostName: row.Name,
    Group: row.Group,
  }));
const orders: Order[] = (['waiting', 'waiting', 'done', 'refused', 'expired'] as const).map(
  (State, n) => {
    const { row } = hosts[20 + n * 3] as fleet.Host;
    return {
      Id: `00000000-0000-4000-8000-00000000080${n}`,
      Host: row.Key,
      HostName: row.Name,
      Probe: 'hardware_disks',
      Action: (['disable', 'run', 'interval'] as const)[n % 3] as Order['Action'],
      Parameters:
        n % 3 === 0 ? { Reason: 'disk is being replaced', For: 14_400 } : { Seconds: 300 },
      Author: 'ada (from 10.0.0.7)',
      CreatedAt: second() - 4_000 * (n + 1),
      ExpiresAt: second() + 80_000,
      State,
      FinishedAt: State === 'waiting' ? 0 : second() - 2_000 * n,
      Answer:
        State === 'refused'
          ? 'control of the probes of `dns-29` is off there: set `AllowRemoteControl` in `[PushClient]`'
          : '',
    };
  },
);
const audit: AuditEntry[] = Array.from({ length: 260 }, (_, n) => {
  const kinds: [string, string, Record<string, unknown>, unknown, unknown, string][] = [
    [
      'probe.disable',
      'web-08.example.org/hardware_disks',
      { Reason: 'disk is being replaced', For: 14400 },
      { Enabled: true, Interval: 300 },
      { Enabled: false, Interval: 300 },
      'done',
    ],
    ['session.begin', 'ada', {}, null, null, 'done'],
    ['session.begin', 'root', {}, null, null, 'refused: wrong password'],
    [
      'authority.allow',
      'web-40.example.org',
      { Key: ca },
      null,
      { Allowed: true, Key: ca },
      'done',
    ],
    [
      'user.role',
      'grace',
      { Role: 'readonly' },
      { Role: 'operator' },
      { Role: 'readonly' },
      'done',
    ],
    [
      'probe.interval',
      'dns-29.example.org/<script>alert(1)</script>',
      { Seconds: 60 },
      { Interval: 300 },
      { Interval: 60 },
      'waiting',
    ],
  ];
  const [Action, Target, Detail, Before, After, Outcome] = kinds[
    n % kinds.length
  ] as (typeof kinds)[0];
  return {
    Id: 1000 - n,
    At: fleet.now() - n * 1_713.4,
    Who: n % 4 === 2 ? '' : n % 3 ? 'ada' : 'grace',
    Role: n % 4 === 2 ? 'none' : 'operator',
    How: n % 4 === 2 ? 'anonymous' : 'session',
    From: '10.0.0.7',
    Action,
    Target,
    Detail,
    Before,
    After,
    Outcome,
  };
});

function about(): About {
  return {
    Version: 'Wigo v1.0.0',
    Uuid: '00000000-0000-4000-8000-000000000001',
    Name: 'control',
    StartedAt: second() - 312_000,
    Now: fleet.now(),
    Database: {
      Path: '/var/lib/wigo/wigo.db',
      SizeBytes: 43_200_512,
      JournalEntries: 182_344,
      OldestEntry: second() - 29 * 86_400,
      KeepDays: 30,
      Waiting: 3,
      Dropped: 0,
      Problem: '',
    },
    Queues: [
      {
        Name: 'events of the tree',
        Length: 12,
        Capacity: 65_536,
        Dropped: 0,
        Full: 'the sender waits',
      },
      {
        Name: 'journal',
        Length: 3,
        Capacity: 10_000,
        Dropped: 0,
        Full: 'the oldest are dropped, and counted',
      },
      {
        Name: 'push to par-master',
        Length: 4_096,
        Capacity: 4_096,
        Dropped: 212,
        Full: 'the oldest are dropped, and counted',
      },
    ],
    Troubles: ['push client: `par-master:4001` was not reached: connection refused; trying again'],
    Http: { Connections: 14, Streams: 3 },
    Push: { Enabled: true, Connected: 96, Waiting: waiting.length, Fingerprint: ca },
    Masters: [
      { Address: 'top.example.org:4001', Connected: true, Trouble: '' },
      { Address: 'par-master:4001', Connected: false, Trouble: 'connection refused' },
    ],
    Pull: [
      { Endpoint: 'https://old.example.org:4000', Problem: '' },
      { Endpoint: 'http://192.0.2.77:4000', Problem: 'no answer within 5 s' },
    ],
    Memory: { ResidentBytes: 61_000_000 },
    Probes: { Running: 1, Runs: 48_211, TimedOut: 2, Skipped: 0 },
  };
}

export interface Asked {
  parts: string[];
  query: URLSearchParams;
  body: string;
}
export type Answer = { value: unknown; status?: number } | null;

/** A page of a list, by the number of its first row. */
function page<T>(items: T[], query: URLSearchParams) {
  const limit = Number(query.get('limit') ?? 100);
  const from = Number(query.get('after') ?? 0);
  const next = from + limit < items.length ? String(from + limit) : '';
  return { Items: items.slice(from, from + limit), Total: items.length, Next: next };
}

export function read({ parts, query }: Asked): Answer {
  const q = (query.get('q') ?? '').toLowerCase();
  switch (parts.join('/')) {
    case 'authority/hosts':
      return {
        value: { allowed: {}, waiting: {}, ca, details: { allowed, waiting } } satisfies Authority,
      };
    case 'authority/tokens':
      return { value: joins };
    case 'tokens':
      return { value: tokens };
    case 'users':
      return { value: users };
    case 'orders':
      return { value: orders };
    case 'about':
      return { value: about() };
    case 'disabled': {
      const fits = (row: DisabledRow) => JSON.stringify(row).toLowerCase().includes(q);
      return { value: page(disabled.filter(fits), query) };
    }
    case 'audit': {
      const fits = (entry: AuditEntry) =>
        (!query.get('who') || entry.Who === query.get('who')) &&
        entry.Action.startsWith(query.get('action') ?? '') &&
        entry.Target.includes(query.get('target') ?? '');
      return { value: page(audit.filter(fits), query) };
    }
  }
  return null;
}

export function change({ parts, query, body }: Asked): Answer {
  const [area, id = '', act = ''] = parts[0] === 'authority' ? parts.slice(1) : parts;
  if (parts[0] === 'session' && !id) {
    const { Name, Password } = JSON.parse(body) as { Name: string; Password: string };
    if (Password === 'slow') return { value: 'too many tries', status: 429 };
    if (Password !== 'right') return { value: 'wrong name or password', status: 401 };
    return { value: { Name, Role: 'operator' } };
  }
  if (area === 'hosts' && act === 'allow') {
    const one = waiting.find((client) => client.Uuid === id);
    waiting = waiting.filter((client) => client.Uuid !== id);
    if (one) allowed = [...allowed, one];
  }
  if (area === 'hosts' && act === 'revoke') allowed = allowed.filter((one) => one.Uuid !== id);
  if (parts[0] === 'authority' && area === 'tokens') {
    if (act === 'drop') joins = joins.filter((one) => one.Id !== id);
    else {
      const made = {
        Id: hex(12),
        UsesLeft: Number(query.get('uses')),
        ExpiresAt: second() + 86_400,
        Group: query.get('group') ?? '',
        Host: query.get('host') ?? '',
        CreatedAt: second(),
        LastUsed: 0,
      };
      joins = [made, ...joins];
      return { value: { ...made, Token: `wigo-join-${hex(64)}` } };
    }
  }
  if (parts[0] === 'tokens') {
    const known = tokens.find((token) => String(token.Id) === id);
    if (known) known.RevokedAt = second();
    else {
      const made: Token = {
        Id: tokens.length + 1,
        Name: query.get('name') ?? '',
        Role: query.get('role') === 'operator' ? 'operator' : 'readonly',
        CreatedAt: second(),
        CreatedBy: 'ada',
        ExpiresAt: 0,
        RevokedAt: 0,
        LastUsed: 0,
      };
      tokens.push(made);
      return { value: { Token: made, Secret: `wigo_${hex(43)}` } };
    }
  }
  if (parts[0] === 'users') {
    if (act === 'remove') users = users.filter((user) => user.Name !== id);
    else if (!act) {
      const { Name, Role } = JSON.parse(body) as User;
      if (users.some((user) => user.Name === Name))
        return { value: `there is a user \`${Name}\` already`, status: 409 };
      users = [...users, { Name, Role, Source: 'database', CreatedAt: second(), Sessions: 0 }];
    }
  }
  if (parts[0] === 'orders') {
    const one = orders.find((order) => order.Id === id);
    if (one) [one.State, one.FinishedAt] = ['cancelled', second()];
    return { value: one ?? 'no such order', status: one ? 200 : 404 };
  }
  if (parts.at(-1) === 'interval')
    disabled = disabled.filter((row) => row.Host !== parts[1] || row.Probe !== parts[3]);
  return null;
}
