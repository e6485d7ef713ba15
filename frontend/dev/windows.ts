/** Made-up times of maintenance. Days are those of UTC here: the server knows zones. */
import type { Occurrence, Window } from '../src/lib/notify-types';
import * as fleet from './fleet.ts';
import type { Answer, Asked } from './manage.ts';

const DAY = 86_400;
const NAMES = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
/** A schedule that comes back more rarely than this many days has no next time. */
const FAR = 400;
const second = (): number => Math.floor(fleet.now());

type Plan = Pick<Window, 'Every' | 'From' | 'To' | 'Days' | 'At' | 'Seconds' | 'Ends'>;

function next(plan: Plan): Occurrence[] {
  if (plan.Every === 'once')
    return plan.To && plan.To > second() ? [{ From: plan.From ?? 0, To: plan.To }] : [];
  const [hour = 0, minute = 0] = plan.At.split(':').map(Number);
  const found: Occurrence[] = [];
  const today = Math.floor(second() / DAY) * DAY;
  for (let n = -1; n < FAR && found.length < 5; n += 1) {
    const date = new Date((today + n * DAY) * 1000);
    const last = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 0)).getUTCDate();
    const days =
      plan.Every === 'week'
        ? [((date.getUTCDay() + 6) % 7) + 1]
        : [date.getUTCDate(), date.getUTCDate() - last - 1];
    if (!days.some((day) => plan.Days.includes(day))) continue;
    const From = today + n * DAY + hour * 3600 + minute * 60;
    if (From + plan.Seconds > second() && (!plan.Ends || From < plan.Ends))
      found.push({ From, To: From + plan.Seconds });
  }
  return found;
}

function finish(one: Omit<Window, 'Next' | 'Open'>): Window {
  const Next = next(one);
  return { ...one, Next, Open: Next.some(({ From, To }) => From <= second() && second() < To) };
}

let lastId = 3;
const common = { Author: 'ada', Probe: '', Ends: null };
let made: Omit<Window, 'Next' | 'Open'>[] = [
  {
    ...common,
    Id: 1,
    Name: 'Patch night',
    Scope: 'group',
    Target: 'web',
    Reason: 'updates and reboots',
    CreatedAt: second() - 40 * DAY,
    Every: 'week',
    From: null,
    To: null,
    Days: [2, 4],
    At: '02:00',
    Seconds: 2 * 3600,
    Zone: 'Europe/Paris',
    Held: 31,
  },
  {
    ...common,
    Id: 2,
    Name: 'Month end',
    Scope: 'labels',
    Target: 'role=database,env=prod',
    Probe: 'check_backup_age',
    Reason: '',
    CreatedAt: second() - 9 * DAY,
    Every: 'month',
    From: null,
    To: null,
    Days: [1, -1],
    At: '23:30',
    Seconds: 5_400,
    Zone: 'UTC',
    Held: 0,
  },
  {
    ...common,
    Id: 3,
    Name: 'New switch in rack r4',
    Scope: 'host',
    Target: 'edge-51.example.org',
    Reason: 'the old one drops packets',
    CreatedAt: second() - 7_000,
    Every: 'once',
    From: second() - 1_800,
    To: second() + 5_400,
    Days: [],
    At: '',
    Seconds: 7_200,
    Zone: '',
    Ends: second() + 5_400,
    Held: 2,
  },
];

export const all = (): Window[] => made.map(finish);

export function read({ parts }: Asked): Answer {
  if (parts[0] !== 'maintenance') return null;
  const WriteActionsAllowed = process.env.WIGO_MOCK_WRITE !== 'no';
  return { value: { WriteActionsAllowed, Windows: all() } };
}

export function change({ parts, query }: Asked): Answer {
  if (parts[0] !== 'maintenance') return null;
  const of = (name: string): string => query.get(name) ?? '';
  if (parts[2] === 'remove') {
    made = made.filter((one) => String(one.Id) !== parts[1]);
    return { value: 'OK' };
  }
  const every = (of('every') || 'once') as Window['Every'];
  const [number = '0', unit = 's'] = /^(\d+)([smhd])$/.exec(of('for'))?.slice(1) ?? [];
  const lasts = Number(number) * ({ s: 1, m: 60, h: 3600, d: DAY }[unit] ?? 1);
  const days = of('days').split(',').filter(Boolean);
  const scope = (['host', 'group', 'labels'] as const).find((name) => of(name));
  const one: Omit<Window, 'Next' | 'Open'> = {
    ...common,
    Id: lastId + 1,
    Name: of('name'),
    Scope: scope ?? 'all',
    Target: scope ? of(scope) : '',
    Probe: of('probe'),
    Reason: of('reason'),
    CreatedAt: second(),
    Every: every,
    From: every === 'once' ? Number(of('from')) : null,
    To: every === 'once' ? Number(of('to')) : null,
    Days: days.map((day) =>
      every === 'week' ? NAMES.indexOf(day) + 1 : day === 'last' ? -1 : Number(day),
    ),
    At: of('at'),
    Seconds: every === 'once' ? Number(of('to')) - Number(of('from')) : lasts,
    Zone: of('zone'),
    Ends: Number(of('ends')) || null,
    Held: 0,
  };
  if (one.Seconds <= 0) return { value: 'a window ends after it begins', status: 400 };
  if (of('preview') === 'true') return { value: finish({ ...one, Id: 0 }) };
  lastId += 1;
  made = [one, ...made];
  return { value: finish(one) };
}
