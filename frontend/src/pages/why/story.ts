/** Why something was sent or not, in words: each question with its answer, and what decided. */
import type { Decision, Notification, Outcome, Standing, Step } from '../../lib/notify-types';

interface Words {
  /** Asked so that yes lets pass. */
  question: string;
  /** Why nothing was sent where the answer is no, after "because". */
  because: string;
}

const REASONS: Record<string, Words> = {
  result: { question: 'Is it worth a word?', because: 'there is nothing to tell' },
  enabled: {
    question: 'Are such messages switched on?',
    because: 'messages of this kind are switched off',
  },
  confirmed: { question: 'Do enough runs say so?', because: 'too few runs say so' },
  flapping: { question: 'Is it steady?', because: 'it changes all the time' },
  blind: { question: 'Can this monitor see?', because: 'this monitor was cut off itself' },
  parent: { question: 'Is what it depends on up?', because: 'what it depends on is down' },
  rechecked: {
    question: 'Was it looked at again?',
    because: 'it has to be looked at again first',
  },
  acknowledged: {
    question: 'Does nobody look after it yet?',
    because: 'somebody looks after it',
  },
  silenced: { question: 'Is it not silenced?', because: 'it is silenced' },
  maintenance: { question: 'Is no work done on it?', because: 'it is in maintenance' },
  quiet: { question: 'Is it out of quiet hours?', because: 'it is quiet hours' },
  incident: { question: 'Which incident is it part of?', because: 'it is part of an incident' },
  routed: { question: 'Is the channel for this?', because: 'the channel is not for this' },
  level: { question: 'Is it bad enough?', because: 'it is not bad enough' },
  rescue_only: {
    question: 'Does the channel want problems?',
    because: 'the channel only wants to hear when something is over',
  },
  told: { question: 'Is it news to the channel?', because: 'it is no news to the channel' },
  repeat: { question: 'Is it time for a reminder?', because: 'it is no reminder' },
  escalation: {
    question: 'Is it the channel’s turn?',
    because: 'it is not the channel’s turn yet',
  },
  grouping: {
    question: 'Does it need a message of its own?',
    because: 'another message tells of it',
  },
  rate_limit: {
    question: 'Is there room for another message?',
    because: 'there were too many messages',
  },
};

export function questionOf(step: Step): string {
  return REASONS[step.Reason]?.question ?? `${step.Reason.replaceAll('_', ' ')}?`;
}

/** What a question decided, after "because". */
export function becauseOf(reason: string): string {
  return REASONS[reason]?.because ?? `of “${reason.replaceAll('_', ' ')}”`;
}

const OUTCOMES: Record<Outcome, string> = {
  sent: 'Sent',
  waiting: 'Waits',
  grouped: 'In another message',
  held: 'Held back',
};

export function outcomeWord(outcome: Outcome): string {
  return OUTCOMES[outcome] ?? outcome;
}

/** The question that decided: the first that did not let pass, else the last. */
export function decisive(decision: Decision): Step | undefined {
  return decision.Chain.find((step) => !step.Passed) ?? decision.Chain.at(-1);
}

/** One decision as a sentence without its full stop: `Sent to mail`, `Held back, because it is silenced`. */
export function verdict(decision: Decision): string {
  const { Outcome: outcome, Channel: channel } = decision;
  if (outcome === 'sent') return channel ? `Sent to ${channel}` : 'Sent';
  const last = decisive(decision);
  const to = channel ? ` for ${channel}` : '';
  if (!last || last.Passed) return `${outcomeWord(outcome)}${to}`;
  return `${outcomeWord(outcome)}${to}, because ${becauseOf(last.Reason)}`;
}

export interface Because {
  because: string;
  detail: string;
  count: number;
  /** Something is still to come. */
  waits: boolean;
}

/** Most reasons that are given for silence. */
const MOST = 3;

/**
 * Why nobody was told, the most frequent reason first; null if somebody was, or is about to be. Decisions
 * come newest first.
 */
export function whyNobody(
  decisions: readonly Decision[],
  notifications: readonly Pick<Notification, 'State'>[] = [],
): Because[] | null {
  if (notifications.length > 0 || decisions.some((one) => one.Outcome === 'sent')) return null;
  const found = new Map<string, Because>();
  for (const decision of decisions) {
    const last = decisive(decision);
    if (!last || last.Passed) continue;
    const known = found.get(last.Reason);
    if (known) known.count += 1;
    else
      found.set(last.Reason, {
        because: becauseOf(last.Reason),
        detail: last.Detail,
        count: 1,
        waits: decision.Outcome === 'waiting',
      });
  }
  return [...found.values()].sort((a, b) => b.count - a.count).slice(0, MOST);
}

/**
 * Why no message has arrived, by channel; null if one has, or none was sent. Notifications come newest
 * first. A message that was not tried yet is no trouble.
 */
export function whyUndelivered(
  notifications: readonly Pick<Notification, 'State' | 'Channel' | 'Answer' | 'Attempts'>[],
): Because[] | null {
  if (notifications.some((one) => one.State === 'sent')) return null;
  const failed = new Map<string, Because>();
  for (const one of notifications) {
    if (one.Attempts === 0 || failed.has(one.Channel)) continue;
    const because = `${one.Channel} did not take the message`;
    failed.set(one.Channel, {
      because,
      detail: one.Answer,
      count: 1,
      waits: one.State === 'waiting',
    });
  }
  return failed.size ? [...failed.values()].slice(0, MOST) : null;
}

const KINDS: Record<string, string> = {
  problem: 'Problem',
  worsened: 'Worse',
  improved: 'Better',
  joined: 'More of it',
  reminder: 'Reminder',
  recovered: 'Over',
  flapping: 'Flapping',
  calm: 'Calm again',
  summary: 'Summary',
  digest: 'Digest',
  notice: 'Notice',
  test: 'Test',
};

/** The kind of a message. */
export function kindWord(kind: string): string {
  return KINDS[kind] ?? kind;
}

const STATES: Record<string, string> = {
  waiting: 'Waits',
  sent: 'Sent',
  dead: 'Not delivered',
  expired: 'Too late',
};

/** What became of a message. */
export function stateWord(state: string): string {
  return STATES[state] ?? state;
}

const EVENTS: Record<string, string> = {
  opened: 'Opened',
  joined: 'Joined',
  worsened: 'Worse',
  improved: 'Better',
  recovered: 'Recovered',
  acknowledged: 'Acknowledged',
  unacknowledged: 'Not acknowledged any more',
  silenced: 'Silenced',
  flapping: 'Flapping',
  calm: 'Calm again',
  told: 'Told',
  held: 'Held back',
  escalated: 'Escalated',
  closed: 'Over',
};

/** What happened to an incident. */
export function eventWord(event: string): string {
  return EVENTS[event] ?? event;
}

/** How the policy sees a subject now, in sentences. */
export function standingWords(standing: Standing): string {
  const { Status, Confirmed, Flapping, Silenced, Acked, Behind } = standing;
  const said: string[] = [];
  if (Status !== Confirmed)
    said.push(`It shows ${Status}, which too few runs have said: ${Confirmed} counts.`);
  if (Flapping) said.push('It changes all the time.');
  if (Acked) said.push(`Somebody looks after it: ${Acked}.`);
  if (Silenced) said.push(`It is silenced: ${Silenced}.`);
  if (Behind) said.push(`It is behind ${Behind}, which is down.`);
  return said.length ? said.join(' ') : 'Nothing holds messages about it back.';
}
