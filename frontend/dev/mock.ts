import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Connect, Plugin } from 'vite';
import type { HostRow, Page, ProbeResult, Schedule } from '../src/lib/types';
import * as fleet from './fleet.ts';
import * as manage from './manage.ts';
import * as notify from './notify.ts';
import * as windows from './windows.ts';

/** As the binary serves it: what the browser would refuse there, it refuses here. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
  "form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/**
 * Answers the API with generated data while there is no wigo to ask. `?calm` in the address of the first
 * page is `WIGO_MOCK=calm`: all is well; `WIGO_MOCK=quiet`: nothing changes by itself.
 */
export function mock(): Plugin {
  const answer: Connect.NextHandleFunction = (request, response, next) => {
    if (!request.url?.startsWith('/api')) return next();
    void handle(request, response);
  };
  return {
    name: 'wigo-mock',
    configureServer: (server) => void server.middlewares.use(answer),
    configurePreviewServer: (server) => {
      server.middlewares.use((_request, response, next) => {
        response.setHeader('Content-Security-Policy', POLICY);
        next();
      });
      server.middlewares.use(answer);
    },
  };
}

const calm = process.env.WIGO_MOCK === 'calm';
const moving = !process.env.WIGO_MOCK;
const streams = new Set<{ response: ServerResponse; query: URLSearchParams }>();
let eventId = 0;

function send(response: ServerResponse, name: string, data: unknown): void {
  eventId += 1;
  response.write(`event: ${name}\nid: ${eventId}\ndata: ${JSON.stringify(data)}\n\n`);
}

function counts() {
  const { Now, Status, Hosts, Probes, Waiting, OrdersWaiting } = fleet.summary(calm);
  return { Now, Status, Hosts, Probes, Waiting, OrdersWaiting };
}

setInterval(() => {
  if (streams.size === 0) return;
  const changed = moving ? fleet.change() : null;
  for (const { response, query } of streams) {
    const scope = query.get('scope') ?? 'all';
    if (!changed) send(response, 'time', { Now: fleet.now() });
    else {
      send(response, 'counts', counts());
      if (scope === 'overview') send(response, 'summary', fleet.summary(calm));
      if (scope === 'host' && fleet.find(query.get('host') ?? '') === changed.host) {
        send(response, 'probe', changed.probe);
        send(response, 'log', changed.entry);
      }
      if (scope === 'logs') send(response, 'log', changed.entry);
      if (scope === 'host' || (scope === 'group' && query.get('group') === changed.host.row.Group))
        send(response, 'host', changed.host.row);
    }
  }
}, 3000).unref();

async function body(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text;
}

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://mock');
  const query = url.searchParams;
  const parts = url.pathname.split('/').slice(2).map(decodeURIComponent);
  const json = (value: unknown, status = 200) => {
    response.statusCode = status;
    response.setHeader('Content-Type', 'application/json');
    response.end(JSON.stringify(value));
  };
  const page = <T>(items: T[]): Page<T> => {
    const limit = Number(query.get('limit') ?? 100);
    const from = Number(query.get('after') ?? 0);
    const next = from + limit < items.length ? String(from + limit) : '';
    return { Items: items.slice(from, from + limit), Total: items.length, Next: next };
  };
  const q = (query.get('q') ?? '').toLowerCase();
  const text = (...of: string[]) => of.some((one) => one.toLowerCase().includes(q));

  if (request.method === 'POST') {
    const asked = { parts, query, body: await body(request) };
    const done = (await notify.change(asked)) ?? windows.change(asked) ?? manage.change(asked);
    for (const name of new Set(notify.told.splice(0)))
      for (const { response } of streams) send(response, name, {});
    if (done) return json(done.value, done.status);
    if (parts.at(-1) === 'run') {
      await new Promise((done) => setTimeout(done, 900));
      const host = fleet.find(parts[1] ?? '');
      return host ? json(result(host, parts[3] ?? '')) : json('no such host', 404);
    }
    if (parts.at(-1) === 'disable' || parts.at(-1) === 'interval') {
      const host = fleet.find(parts[1] ?? '');
      return host ? json(schedule(host)) : json('no such host', 404);
    }
    return json('OK');
  }
  const asked = { parts, query, body: '' };
  const managed = notify.read(asked) ?? windows.read(asked) ?? manage.read(asked);
  if (managed) return json(managed.value, managed.status);
  switch (parts[0]) {
    case 'whoami':
      return json({
        Name: 'ada',
        Role: process.env.WIGO_MOCK_ROLE ?? 'operator',
        WriteActionsAllowed: process.env.WIGO_MOCK_WRITE !== 'no',
        CanSignIn: true,
        How: 'session',
        SignIn: ['password', 'oidc'],
        OidcName: 'Example ID',
        NeedsHeader: true,
      });
    case 'events': {
      response.setHeader('Content-Type', 'text/event-stream');
      const caller = { Name: 'ada', Role: 'operator' };
      send(response, 'hello', { Now: fleet.now(), Revision: 1, Version: '1.0.0', Caller: caller });
      send(response, 'counts', counts());
      if (query.get('scope') === 'overview') send(response, 'summary', fleet.summary(calm));
      const stream = { response, query };
      streams.add(stream);
      request.on('close', () => streams.delete(stream));
      return;
    }
    case 'logs': {
      const wanted = fleet.log.filter(
        (entry) =>
          (!query.get('hostname') || entry.Host === query.get('hostname')) &&
          (!query.get('group') || entry.Group === query.get('group')) &&
          (!query.get('probe') || entry.Probe === query.get('probe')) &&
          text(entry.Message, entry.Host),
      );
      const from = Number(query.get('offset') ?? 0);
      return json(wanted.slice(from, from + Number(query.get('limit') ?? 100)));
    }
    case 'labels':
      return json({ env: { prod: 110, staging: 27 }, role: { web: 20, database: 18 } });
    case 'search': {
      const rows = [...fleet.hosts.values()].map((host) => host.row);
      const probes = [...fleet.hosts.values()].flatMap((host) => [...host.probes.values()]);
      return json({
        Hosts: rows.filter((row) => text(row.Name)).slice(0, 20),
        Probes: probes.filter((probe) => text(probe.Name)).slice(0, 20),
        Groups: fleet.groups().filter((group) => text(group.Name)),
      });
    }
    case 'summary': {
      if (parts[1] === 'problems') {
        const level = query.get('level');
        const least = { info: 101, warn: 200, crit: 300, error: 500, down: 999 }[level ?? ''] ?? 0;
        const group = query.get('group');
        const found = fleet
          .problems()
          .filter((row) => row.Status >= least && (!group || row.Group === group))
          .filter((row) => text(row.HostName, row.Probe, row.Message));
        return json(page(calm ? [] : found));
      }
      if (parts[1] === 'groups') return json(page(fleet.groups().filter((one) => text(one.Name))));
      if (parts[1] === 'hosts' && parts[2]) {
        const host = fleet.find(parts[2]);
        return host ? json(fleet.detail(host)) : json(`Remote wigo ${parts[2]} not found`, 404);
      }
      if (parts[1] === 'hosts') {
        const [group, below, presence] = ['group', 'below', 'presence'].map((n) => query.get(n));
        const rows: HostRow[] = [...fleet.hosts.values()]
          .map((host) => host.row)
          .filter((row) => !group || row.Group === group)
          .filter((row) => !below || row.Parent === below)
          .filter((row) => !presence || row.Presence === presence)
          .filter((row) => text(row.Name))
          .sort((a, b) => b.Status - a.Status || a.Name.localeCompare(b.Name));
        return json(page(rows));
      }
      return json(fleet.summary(calm));
    }
    case 'hosts': {
      const host = fleet.find(parts[1] ?? '');
      if (!host) return json(`Remote wigo ${parts[1]} not found`, 404);
      if (parts[2] === 'timeline') {
        const until = Number(query.get('until') ?? fleet.now());
        const since = Number(query.get('since') ?? until - 86_400);
        return json(fleet.timeline(host, query.get('probe') ?? '', since, until));
      }
      if (parts.at(-1) === 'logs') {
        const probe = parts[2] === 'probes' ? parts[3] : undefined;
        const own = fleet.log.filter((entry) => entry.Host === host.row.Name);
        return json(own.filter((entry) => !probe || entry.Probe === probe).slice(0, 10));
      }
      if (parts[2] === 'schedule') return json(schedule(host));
      if (parts[2] === 'probes' && parts[3]) {
        if (!host.probes.has(parts[3])) return json(`Probe ${parts[3]} not found`, 404);
        return json(result(host, parts[3]));
      }
    }
  }
  return json('not in the mock', 404);
}

function result(host: fleet.Host, name: string): ProbeResult {
  const row = host.probes.get(name);
  const details: unknown[] = [
    [
      { mount: '/', used: '38 %', free: '61.2 GiB', device: '/dev/vda1' },
      { mount: '/var', used: '96 %', free: '3.1 GiB', device: '/dev/vdb1' },
    ],
    { kernel: '6.1.0-28-amd64', uptime: 8123456, reboot_required: false },
    { nested: { a: [1, 2, { b: null }] }, text: '<script>alert(1)</script>' },
  ];
  const long = name === 'check_systemd';
  return {
    Name: name,
    Version: '0.12',
    Value: 0.41,
    Message: long ? 'unit failed: line\n'.repeat(6000) : (row?.Message ?? ''),
    ProbeDate: '',
    Timestamp: Math.floor(fleet.now()),
    Metrics: [{ Tags: { load: 'load1' }, Value: 0.41 }],
    Detail: details[name.length % 3],
    Status: row?.Status ?? 100,
    ExitCode: 0,
    Interval: row?.Interval ?? 60,
    Since: row?.Since ?? 0,
    Stale: row?.Stale ?? false,
  };
}

function schedule(host: fleet.Host): Schedule {
  return {
    Hostname: host.row.Name,
    WriteActionsAllowed: true,
    Probes: [...host.probes.values()].map((probe) => ({
      Name: probe.Name,
      Directory: String(probe.Interval),
      Interval: probe.Interval,
      Enabled: true,
      NextRun: probe.Timestamp + probe.Interval,
      LastRun: probe.Timestamp,
      DurationMs: 41.2,
      CpuMs: 12.01,
      PeakMemoryBytes: 6_291_456,
      Answer: 'wigo',
      SkippedRuns: 0,
      Refused: null,
    })),
    SkippedProbes: ['lm-sensors'],
    DisableRecords: fleet.detail(host).Disabled,
    DisabledByConfiguration: [],
    NotRun: [],
  };
}
