/** Times for people: how long, how long ago, and when exactly. */

const MINUTE = 60;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** `42 s`, `5 min`, `3 h 20 min`, `2 d 4 h`, `41 d`: two units at most, the small one only where it matters. */
export function duration(seconds: number): string {
  const total = Math.max(0, Math.floor(seconds));
  if (total < MINUTE) return `${total} s`;
  if (total < HOUR) return `${Math.floor(total / MINUTE)} min`;
  if (total < DAY)
    return two(Math.floor(total / HOUR), 'h', Math.floor((total % HOUR) / MINUTE), 'min');
  const days = Math.floor(total / DAY);
  return days < 10 ? two(days, 'd', Math.floor((total % DAY) / HOUR), 'h') : `${days} d`;
}

function two(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large} ${largeUnit}` : `${large} ${largeUnit} ${small} ${smallUnit}`;
}

/** `for`-style text of a moment in the past; what lies ahead by a clock's error is `0 s`. */
export function since(at: number, now: number): string {
  return at <= 0 ? '' : duration(now - at);
}

/** `5 min ago`, `now`; for the future `in 5 min`. */
export function ago(at: number, now: number): string {
  if (at <= 0) return 'never';
  const seconds = now - at;
  if (seconds < -1) return `in ${duration(roundly(-seconds))}`;
  return seconds < 2 ? 'now' : `${duration(seconds)} ago`;
}

/** What was just set for 30 days ends in 30 days, and not in 29. */
function roundly(seconds: number): number {
  const unit = seconds < HOUR ? 1 : seconds < 10 * DAY ? MINUTE : DAY;
  return Math.round(seconds / unit) * unit;
}

const sameDay = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
const sameYear = new Intl.DateTimeFormat(undefined, {
  month: 'short',
  day: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
});
const whole = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const exact = new Intl.DateTimeFormat(undefined, { dateStyle: 'full', timeStyle: 'long' });

/** The time of day today, else the day as well, and the year where it is another one. */
export function clock(at: number, now: number): string {
  if (at <= 0) return '';
  const [then, today] = [new Date(at * 1000), new Date(now * 1000)];
  if (then.toDateString() === today.toDateString()) return sameDay.format(then);
  return (then.getFullYear() === today.getFullYear() ? sameYear : whole).format(then);
}

/** All of it, with the time zone: for titles. */
export function full(at: number): string {
  return at <= 0 ? '' : exact.format(new Date(at * 1000));
}

/** Seconds as the API takes them: `90s`, `30m`, `4h`, `7d`. */
export function parameter(seconds: number): string {
  if (seconds % DAY === 0) return `${seconds / DAY}d`;
  if (seconds % HOUR === 0) return `${seconds / HOUR}h`;
  if (seconds % MINUTE === 0) return `${seconds / MINUTE}m`;
  return `${seconds}s`;
}

/** Seconds of `90s`, `30m`, `4h`, `7d`; null for what is none. */
export function parseDuration(text: string): number | null {
  const found = /^\s*(\d+)\s*([smhd])\s*$/.exec(text);
  if (!found) return null;
  return Number(found[1]) * { s: 1, m: MINUTE, h: HOUR, d: DAY }[found[2] as 's' | 'm' | 'h' | 'd'];
}

/** An interval between runs: `30 s`, `5 min`, `1 h`. */
export function interval(seconds: number): string {
  return seconds > 0 ? duration(seconds) : '';
}
