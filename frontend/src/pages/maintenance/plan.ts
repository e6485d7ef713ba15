/** Times of maintenance: what was filled in, as the API takes it, and what the API says, in words. */
import type { Query } from '../../lib/api';
import type { Window } from '../../lib/notify-types';
import { clock, duration, parameter, parseDuration } from '../../lib/time';
import { listed } from '../../lib/words';
import { labelText } from '../held/held';

export const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
const NAMES = ['Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday', 'Sunday'];
/** The shortest and the longest window, in seconds: what the server takes as well. */
const LEAST = 60;
const MOST = 366 * 86_400;

export interface Plan {
  name: string;
  scope: Window['Scope'];
  target: string;
  probe: string;
  reason: string;
  every: Window['Every'];
  /** As a field of the browser has it, in its time zone. */
  from: string;
  to: string;
  /** 1 Monday … 7 Sunday. */
  weekdays: number[];
  /** Days of the month as typed: `1, 15, last`. */
  monthdays: string;
  at: string;
  lasts: string;
  zone: string;
  /** The day after which it does not come back; empty: never. */
  ends: string;
}

export function emptyPlan(zone: string): Plan {
  return {
    name: '',
    scope: 'host',
    target: '',
    probe: '',
    reason: '',
    every: 'once',
    from: '',
    to: '',
    weekdays: [],
    monthdays: '',
    at: '02:00',
    lasts: '2h',
    zone,
    ends: '',
  };
}

const seconds = (local: string): number => Math.floor(new Date(local).getTime() / 1000);

/** What the API is asked; or what is missing still, as a sentence. */
export function asked(plan: Plan): { query: Query } | { missing: string } {
  if (!plan.name.trim()) return { missing: 'Give it a name.' };
  const target = plan.scope === 'labels' ? labelText(plan.target) : plan.target.trim();
  if (plan.scope !== 'all' && !target) {
    const what = { host: 'the host', group: 'the group', labels: 'the labels' }[plan.scope];
    return { missing: `Name ${what}.` };
  }
  const common: Query = {
    name: plan.name.trim(),
    [plan.scope]: plan.scope === 'all' ? true : target,
    // Everything has no probes to choose from.
    probe: plan.scope === 'all' ? '' : plan.probe.trim(),
    reason: plan.reason.trim(),
  };
  if (plan.every === 'once') {
    if (!plan.from || !plan.to) return { missing: 'Say from when to when.' };
    const [from, to] = [seconds(plan.from), seconds(plan.to)];
    if (!(to - from >= LEAST)) return { missing: 'It has to end after it begins.' };
    if (to - from > MOST) return { missing: 'It can last a year at most.' };
    return { query: { ...common, from, to } };
  }
  const days =
    plan.every === 'week'
      ? plan.weekdays.map((day) => WEEKDAYS[day - 1])
      : monthDays(plan.monthdays);
  if (!days) return { missing: 'Days of the month are 1 to 31, or last.' };
  if (days.length === 0) return { missing: 'Choose a day.' };
  if (!plan.at) return { missing: 'Say at what time it begins.' };
  const lasts = parseDuration(plan.lasts);
  if (lasts === null || lasts < LEAST || lasts > MOST)
    return { missing: 'Say how long it lasts, such as 90m or 2h.' };
  if (!plan.zone) return { missing: 'Choose a time zone.' };
  return {
    query: {
      ...common,
      every: plan.every,
      days: days.join(','),
      at: plan.at,
      for: parameter(lasts),
      zone: plan.zone.trim(),
      // To the end of that day.
      ends: plan.ends ? seconds(`${plan.ends}T23:59:59`) : '',
    },
  };
}

/** `1, 15, last` as the API takes it; null for what is no such list. */
function monthDays(text: string): string[] | null {
  const parts = text
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean);
  const fits = parts.every(
    (part) =>
      part === 'last' || (/^\d{1,2}$/.test(part) && Number(part) >= 1 && Number(part) <= 31),
  );
  return fits
    ? [...new Set(parts.map((part) => (part === 'last' ? part : String(Number(part)))))]
    : null;
}

function ordinal(day: number): string {
  if (day === -1) return 'last';
  const tail = day % 100 > 10 && day % 100 < 14 ? 0 : day % 10;
  return `${day}${['th', 'st', 'nd', 'rd'][tail] ?? 'th'}`;
}

/** When a window is open, in words. */
export function when(one: Window, now: number): string {
  if (one.Every === 'once')
    return `once, ${clock(one.From ?? 0, now)} to ${clock(one.To ?? 0, now)}`;
  const lasts = `at ${one.At} for ${duration(one.Seconds)}, ${one.Zone}`;
  if (one.Every === 'month')
    return `on the ${listed(one.Days.map(ordinal))} of each month ${lasts}`;
  const days = one.Days.map((day) => NAMES[day - 1] ?? String(day));
  return `${days.length === 7 ? 'every day' : `every ${listed(days)}`} ${lasts}`;
}
