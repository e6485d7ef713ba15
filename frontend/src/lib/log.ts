/** An entry of the log in the fewest words: what the columns say already is not said again. */
import type { LogEntry } from './types';

/** The message without the sentence about which probe switched from what to what. */
export function messageOf(entry: LogEntry): string {
  // Up again is no news of how it is.
  if (entry.Kind === 'instance_up' && entry.Now !== null && entry.Now > 100)
    return `${entry.Message}, with status ${entry.Now}`;
  if (!entry.Probe || !entry.Message.startsWith(`Probe ${entry.Probe} `)) return entry.Message;
  const at = entry.Message.indexOf(' : ', `Probe ${entry.Probe} `.length);
  const rest = at < 0 ? '' : entry.Message.slice(at + 3);
  if (entry.Kind === 'probe_gone')
    return rest ? `Does not run any more: ${rest}` : 'Does not run any more';
  return rest || entry.Message;
}

/** What stands for an entry among others. */
export function keyOf(entry: LogEntry): number {
  return entry.Id;
}
