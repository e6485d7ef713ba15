/** A made-up fleet, the same at each start: three levels, all kinds of trouble, hostile names and texts. */
import type {
  Counts,
  GroupRow,
  HostDetail,
  HostRow,
  LogEntry,
  Presence,
  ProbeRow,
  ProblemRow,
  Summary,
  Timeline,
  TimelineChange,
} from '../src/lib/types';

let seed = 7;
/** A number in 0…1, the same sequence at each start. */
export function chance(): number {
  seed = (seed * 1103515245 + 12345) % 2147483648;
  return seed / 2147483648;
}
const pick = <T>(of: readonly T[]): T => of[Math.floor(chance() * of.length)] as T;
export const now = (): number => Date.now() / 1000;
const second = (): number => Math.floor(now());

const PROBES: [name: string, ok: string, bad: string][] = [
  ['hardware_load_average', '0.41 0.38 0.35 on 8 cores', '14.02 11.71 8.80 on 8 cores: above 8'],
  ['hardware_memory', '41 % of 31.2 GiB used', '97 % of 31.2 GiB used, 211 MiB available'],
  ['hardware_disks', '/ 38 %, /var 52 %', '/var 96 %: 3.1 GiB left, full in about 5 h'],
  ['check_ssl_cert', '*.example.org valid for 61 days', '*.example.org expires in 4 days'],
  ['check_systemd', '94 units active', 'postgresql@15-main.service failed (exit 1)'],
  ['check_dns', 'resolver answered in 4 ms', 'resolver 10.0.0.2 did not answer within 2 s'],
  ['ifstat', 'eth0 in 12.4 Mbit/s out 3.1 Mbit/s', 'eth0: 214 receive errors in 60 s'],
  ['check_backup_age', 'last backup 6 h ago', 'last backup 3 d ago, wanted every 24 h'],
  ['check_docker', '14 containers running', 'container web_worker restarts since 11 min'],
  ['ntp', 'offset 0.8 ms', 'offset 2.41 s, not synchronised'],
  ['smart', '4 disks healthy', 'sda: 8 reallocated sectors'],
  ['http_checkout', '200 in 84 ms', '502 Bad Gateway in 30.0 s'],
];

export interface Host {
  row: HostRow;
  probes: Map<string, ProbeRow>;
}

export const hosts = new Map<string, Host>();
export const log: LogEntry[] = [];

const uuid = (n: number): string => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`;
const none = (): Counts => ({
  Total: 0,
  Ok: 0,
  Info: 0,
  Warn: 0,
  Crit: 0,
  Error: 0,
  Down: 0,
  Unknown: 0,
  Stopped: 0,
  Stale: 0,
});

function tally(counts: Counts, status: number): void {
  counts.Total += 1;
  if (status === 100) counts.Ok += 1;
  else if (status < 200) counts.Info += 1;
  else if (status < 300) counts.Warn += 1;
  else if (status < 500) counts.Crit += 1;
  else if (status < 999) counts.Error += 1;
  else counts.Down += 1;
}

function status(): number {
  const at = chance();
  if (at < 0.965) return 100;
  return at < 0.972 ? 150 : at < 0.985 ? 200 + Math.floor(chance() * 40) : at < 0.994 ? 300 : 500;
}

function make(n: number, name: string, group: string, parent: string): Host {
  const presence: Presence =
    n === 17 ? 'down' : n === 31 ? 'stopped' : n === 32 ? 'unknown' : 'alive';
  const key = /^[A-Za-z0-9][A-Za-z0-9._-]*$/.test(name) ? name : uuid(n);
  const row: HostRow = {
    Uuid: uuid(n),
    Key: key,
    Name: name,
    Group: group,
    Labels: { env: n % 5 ? 'prod' : 'staging', role: group, rack: `r${1 + (n % 9)}` },
    Status: 100,
    GlobalStatus: 100,
    Presence: presence,
    Since: second() - Math.floor(chance() * 90_000),
    Message: presence === 'down' ? 'nothing heard for 45 s' : '',
    WorstProbe: '',
    Probes: none(),
    LastUpdate: second() - 4,
    Version: n % 7 ? '1.0.0' : '0.9.4',
    Below: 0,
    BelowStatus: 0,
    Parent: parent,
    Problem: '',
  };
  const host: Host = { row, probes: new Map() };
  for (const [probe, ok, bad] of PROBES.slice(0, 6 + (n % 7))) {
    const s = status();
    host.probes.set(probe, {
      Host: key,
      HostName: name,
      Group: group,
      Name: probe,
      Status: s,
      Message: s === 100 ? ok : bad,
      Since: second() - Math.floor(chance() ** 3 * 400_000) - 20,
      Timestamp: second() - Math.floor(chance() * 60),
      Interval: pick([10, 60, 60, 300]),
      Stale: presence !== 'alive',
    });
  }
  hosts.set(uuid(n), host);
  return host;
}

/** Brings the sums of a host up to date. */
export function settle(host: Host): void {
  const { row, probes } = host;
  row.Probes = none();
  let worst: ProbeRow | undefined;
  for (const probe of probes.values()) {
    tally(row.Probes, probe.Status);
    if (probe.Stale) row.Probes.Stale += 1;
    if (probe.Status > (worst?.Status ?? 100)) worst = probe;
  }
  row.Status = row.Presence === 'down' ? 999 : (worst?.Status ?? 100);
  row.WorstProbe = worst?.Name ?? '';
  if (row.Presence === 'alive') row.Message = worst?.Message ?? '';
  row.GlobalStatus = Math.max(row.Status, row.BelowStatus);
  if (worst && row.Presence === 'alive') row.Since = worst.Since;
}

const GROUPS = ['web', 'database', 'storage', 'edge', 'build', 'mail', 'dns', 'office'];
const top = make(1, 'control', 'control', '');
const middles = ['fra-master', 'par-master', 'nyc-master'].map((name, n) =>
  make(2 + n, name, 'masters', uuid(1)),
);
for (let n = 5; n < 140; n += 1) {
  const group = GROUPS[n % GROUPS.length] as string;
  const parent = n % 4 === 3 ? top : (middles[n % 3] as Host);
  make(n, `${group}-${String(n).padStart(2, '0')}.example.org`, group, parent.row.Uuid);
}
const nasty = make(200, '"><img src=x onerror=alert(1)>', '<b>group</b>', uuid(1));
const rtl = make(201, 'server-\u202Egro.elpmaxe', 'web', uuid(2));
nasty.probes.set('<script>alert(1)</script>', {
  ...(nasty.probes.get('hardware_memory') as ProbeRow),
  Name: '<script>alert(1)</script>',
  Status: 300,
  Message: '<script>alert("message")</script> & <b>bold</b> \u202Ereversed text',
  Since: second() - 700,
});
(rtl.probes.get('hardware_disks') as ProbeRow).Status = 200;
(rtl.probes.get('hardware_disks') as ProbeRow).Message = 'x'.repeat(400) + ' ' + 'word '.repeat(20);
for (const host of hosts.values()) settle(host);
for (const host of [...hosts.values()].reverse()) {
  for (let up = hosts.get(host.row.Parent); up; up = hosts.get(up.row.Parent)) {
    up.row.Below += 1;
    up.row.BelowStatus = Math.max(up.row.BelowStatus, host.row.Status);
    settle(up);
  }
}

export function problems(): ProblemRow[] {
  const rows: ProblemRow[] = [];
  for (const { row, probes } of hosts.values()) {
    const common = { Host: row.Key, HostName: row.Name, Group: row.Group, Presence: row.Presence };
    if (row.Presence !== 'alive') {
      rows.push({
        ...common,
        Kind: 'host',
        Probe: '',
        Status: row.Presence === 'down' ? 999 : 100,
        Message: row.Message,
        Since: row.Since,
        Stale: true,
      });
      continue;
    }
    for (const probe of probes.values()) {
      if (probe.Status <= 100) continue;
      rows.push({
        ...common,
        Kind: 'probe',
        Probe: probe.Name,
        Status: probe.Status,
        Message: probe.Message,
        Since: probe.Since,
        Stale: probe.Stale,
      });
    }
  }
  return rows.sort((a, b) => b.Status - a.Status || b.Since - a.Since);
}

export function groups(): GroupRow[] {
  const found = new Map<string, GroupRow>();
  for (const { row } of hosts.values()) {
    const group = found.get(row.Group) ?? { Name: row.Group, Status: 100, Hosts: none() };
    found.set(row.Group, group);
    group.Status = Math.max(group.Status, row.Status);
    if (row.Presence === 'alive' || row.Presence === 'down') tally(group.Hosts, row.Status);
    else {
      group.Hosts.Total += 1;
      group.Hosts[row.Presence === 'unknown' ? 'Unknown' : 'Stopped'] += 1;
    }
  }
  return [...found.values()].sort((a, b) => b.Status - a.Status || a.Name.localeCompare(b.Name));
}

export function summary(calm: boolean): Summary {
  const [all, probeCounts] = [none(), none()];
  for (const { row, probes } of hosts.values()) {
    if (row.Presence === 'alive' || row.Presence === 'down' || calm)
      tally(all, calm ? 100 : row.Status);
    else {
      all.Total += 1;
      all[row.Presence === 'unknown' ? 'Unknown' : 'Stopped'] += 1;
    }
    for (const probe of probes.values()) tally(probeCounts, calm ? 100 : probe.Status);
  }
  const broken = calm ? [] : problems();
  return {
    Now: now(),
    Revision: 1,
    Instance: { Uuid: uuid(1), Key: 'control', Name: 'control', Version: '1.0.0' },
    Status: calm ? 100 : 999,
    Hosts: all,
    Probes: probeCounts,
    Problems: broken.slice(0, 50),
    ProblemsTotal: broken.length,
    Groups: groups().map((group) =>
      calm
        ? {
            ...group,
            Status: 100,
            Hosts: { ...none(), Total: group.Hosts.Total, Ok: group.Hosts.Total },
          }
        : group,
    ),
    GroupsTotal: groups().length,
    Recent: log.slice(0, 10),
    Waiting: 1,
    OrdersWaiting: 2,
  };
}

export function find(key: string): Host | undefined {
  return hosts.get(key) ?? [...hosts.values()].find((host) => host.row.Key === key);
}

export function detail(host: Host): HostDetail {
  const path: HostDetail['Path'] = [];
  for (let up = hosts.get(host.row.Parent); up; up = hosts.get(up.row.Parent))
    path.unshift({ Key: up.row.Key, Name: up.row.Name });
  const rows = [...host.probes.values()].sort((a, b) => b.Status - a.Status);
  return {
    ...host.row,
    Path: path,
    Contact: path.length ? { Kind: 'push', Address: '192.0.2.17:51514', Encrypted: true } : null,
    Alternatives: host.row.Uuid.endsWith('9') ? [uuid(2)] : [],
    ProbeRows: rows.map((row, n) => ({
      ...row,
      Version: '0.12',
      ExitCode: row.Status >= 500 ? 2 : 0,
      HasDetail: n % 3 !== 2,
      HasMetrics: true,
    })),
    Disabled: host.row.Uuid.endsWith('7')
      ? [
          {
            Probe: 'mdadm',
            Reason: 'array is being rebuilt until Friday',
            Author: 'ada',
            Interval: 300,
            CreatedAt: second() - 86_000,
            Until: second() + 172_000,
          },
        ]
      : [],
    RemoteControl: 'control',
  };
}

let lastId = 5000;
export function tell(
  host: Host,
  probe: string,
  kind: string,
  was: number | null,
  to: number | null,
  message: string,
  at = second(),
): LogEntry {
  lastId += 1;
  const level = to === null || to === 100 ? 2 : to < 200 ? 3 : to < 300 ? 5 : to < 500 ? 6 : 4;
  const entry: LogEntry = {
    Date: new Date(at * 1000).toISOString(),
    Timestamp: at,
    Level: level,
    Message: probe ? `Probe ${probe} switched from ${was} to ${to} : ${message}` : message,
    Host: host.row.Name,
    Probe: probe,
    Group: host.row.Group,
    Id: lastId,
    Kind: kind,
    Was: was,
    Now: to,
    Learned: at,
    Origin: host.row.Uuid,
    OriginId: lastId,
  };
  return entry;
}

/** Some hours of log: what is broken now broke then, and some of the rest came and went. */
const entries: LogEntry[] = [];
for (const host of hosts.values()) {
  if (host.row.Presence === 'down')
    entries.push(
      tell(
        host,
        '',
        'instance_down',
        null,
        999,
        `Wigo ${host.row.Name} DOWN : nothing heard for 45 s`,
        host.row.Since,
      ),
    );
  for (const probe of host.probes.values()) {
    if (probe.Status > 100)
      entries.push(
        tell(host, probe.Name, 'probe_changed', 100, probe.Status, probe.Message, probe.Since),
      );
    else if (chance() < 0.2) {
      const at = second() - Math.floor(chance() * 20_000);
      entries.push(tell(host, probe.Name, 'probe_changed', 300, 100, probe.Message, at));
    }
  }
}
entries.sort((a, b) => b.Timestamp - a.Timestamp);
// The newest was learned of last.
log.push(...entries.map((entry, n) => ({ ...entry, Id: lastId - n })));

/** A history that ends as it is now, with a time in which nobody watched. */
export function timeline(host: Host, probe: string, since: number, until: number): Timeline {
  const names = probe ? [probe] : [...host.probes.keys()];
  const changes: TimelineChange[] = [];
  const base = { Host: host.row.Name, Group: host.row.Group };
  const span = until - since;
  const [gone, back] = [since + span * 0.31, since + span * 0.36];
  for (const name of names) {
    const probeRow = host.probes.get(name);
    if (!probeRow) continue;
    let last = 100;
    for (let at = since + chance() * span * 0.3; at < until; at += span * (0.02 + chance() * 0.4)) {
      if (at > Math.min(probeRow.Since, until)) break;
      if (at > gone && at < back) continue;
      const next = last === 100 ? pick([200, 200, 300, 150, 500]) : 100;
      changes.push({
        ...base,
        Probe: name,
        Was: last,
        Now: next,
        Message: 'made up',
        At: Math.floor(at),
        Kind: 'probe_changed',
      });
      last = next;
    }
    if (probeRow.Since > since && last !== probeRow.Status)
      changes.push({
        ...base,
        Probe: name,
        Was: last,
        Now: probeRow.Status,
        Message: probeRow.Message,
        At: probeRow.Since,
        Kind: 'probe_changed',
      });
  }
  const presence = (kind: string, at: number) =>
    changes.push({
      ...base,
      Probe: '',
      Was: null,
      Now: null,
      Message: '',
      At: Math.floor(at),
      Kind: kind,
    });
  presence('agent_stopped', gone);
  presence('agent_started', back);
  if (host.row.Presence === 'down') presence('instance_down', host.row.Since);
  return {
    Host: host.row.Name,
    Probe: probe,
    Since: Math.floor(since),
    Until: Math.floor(until),
    StatusAtStart: 100,
    HistoryDays: 30,
    Changes: changes.sort((a, b) => a.At - b.At),
    ProbesAtStart: Object.fromEntries(names.map((name) => [name, 100])),
    StoppedAtStart: false,
    Truncated: false,
  };
}

/** Changes a probe, as a run of it would. */
export function change(): { host: Host; probe: ProbeRow; entry: LogEntry } | null {
  const host = pick([...hosts.values()]);
  if (host.row.Presence !== 'alive') return null;
  const [name, ok, bad] = pick(PROBES);
  const probe = host.probes.get(name);
  if (!probe) return null;
  const was = probe.Status;
  probe.Status = was === 100 ? pick([200, 300, 150]) : 100;
  probe.Message = probe.Status === 100 ? ok : bad;
  probe.Since = second();
  probe.Timestamp = second();
  settle(host);
  const entry = tell(host, name, 'probe_changed', was, probe.Status, probe.Message);
  log.unshift(entry);
  return { host, probe, entry };
}
