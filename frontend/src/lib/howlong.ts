/** Until when something is held back: a length, tomorrow morning, or what somebody types. */
import { parameter, parseDuration } from './time';

/** The choice that ends in the morning, and the one that is typed. */
export const MORNING = 'morning';
export const OWN = 'own';

/** The morning begins at this hour; before the other one, it is that of the same day. */
const HOUR = 8;
const NIGHT_ENDS = 5;

/** The next morning that is worth waiting for, by the clock of who looks. */
export function morning(now: Date): { at: Date; today: boolean } {
  const today = now.getHours() < NIGHT_ENDS;
  const day = now.getDate() + (today ? 0 : 1);
  return { at: new Date(now.getFullYear(), now.getMonth(), day, HOUR), today };
}

/** What the API takes as `for`; null where nothing fitting was typed. Empty is no end. */
export function lasting(choice: string, typed: string, now: Date): string | null {
  if (choice === MORNING) return `${Math.ceil((+morning(now).at - +now) / 1000)}s`;
  if (choice !== OWN) return choice;
  const seconds = parseDuration(typed);
  return seconds === null || seconds <= 0 ? null : parameter(seconds);
}
