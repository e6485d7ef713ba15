// @vitest-environment node
import { describe, expect, it } from 'vitest';
import type { Decision, Outcome, Step } from '../../lib/notify-types';
import {
  becauseOf,
  eventWord,
  kindWord,
  questionOf,
  standingWords,
  verdict,
  whyNobody,
  whyUndelivered,
} from './story';

const yes = (Reason: string, Detail = ''): Step => ({ Reason, Passed: true, Detail });
const no = (Reason: string, Detail = ''): Step => ({ Reason, Passed: false, Detail });
function decision(Outcome: Outcome, Channel: string | null, ...Chain: Step[]): Decision {
  return {
    Id: 1,
    At: 1,
    Host: 'db1',
    Probe: 'disk',
    Entry: null,
    Incident: null,
    Channel,
    Status: 300,
    Outcome,
    Reason: Chain.at(-1)?.Reason ?? '',
    Chain,
    Notification: null,
  };
}

describe('a decision in words', () => {
  it('says to whom it was sent', () => {
    expect(verdict(decision('sent', 'mail', yes('result'), yes('told')))).toBe('Sent to mail');
  });

  it('says why nothing was sent, and to whom', () => {
    expect(verdict(decision('held', null, yes('result'), no('silenced')))).toBe(
      'Held back, because it is silenced',
    );
    expect(verdict(decision('waiting', 'pager', yes('routed'), no('quiet')))).toBe(
      'Waits for pager, because it is quiet hours',
    );
  });

  it('gives no reason where every answer was yes', () => {
    expect(verdict(decision('grouped', 'mail', yes('grouping')))).toBe(
      'In another message for mail',
    );
  });

  it('shows what a newer server asks by its own word', () => {
    expect(questionOf(yes('moon_phase'))).toBe('moon phase?');
    expect(becauseOf('moon_phase')).toContain('moon phase');
    expect([kindWord('haiku'), eventWord('haiku')]).toEqual(['haiku', 'haiku']);
  });
});

describe('why nobody was told', () => {
  it('is no question where somebody was, or a message waits', () => {
    const held = decision('held', null, no('silenced'));
    expect(whyNobody([held, decision('sent', 'mail', yes('told'))])).toBeNull();
    expect(whyNobody([held], [{ State: 'waiting' }])).toBeNull();
  });

  it('names the most frequent reason first, with the newest detail', () => {
    const reasons = whyNobody([
      decision('held', 'mail', no('level', 'WARN is below CRIT')),
      decision('held', null, no('silenced', 'by ada')),
      decision('held', null, no('silenced', 'by grace')),
    ]);
    expect(reasons?.map((one) => [one.because, one.detail, one.count])).toEqual([
      ['it is silenced', 'by ada', 2],
      ['it is not bad enough', 'WARN is below CRIT', 1],
    ]);
  });

  it('tells what is still to come from what is not', () => {
    expect(whyNobody([decision('waiting', null, no('confirmed', '1 of 3 runs'))])?.[0]?.waits).toBe(
      true,
    );
    expect(whyNobody([])).toEqual([]);
  });
});

it('says which channels failed, as long as no message has arrived', () => {
  const dead = { State: 'dead', Channel: 'pager', Answer: '503', Attempts: 9 } as const;
  const waiting = { State: 'waiting', Channel: 'mail', Answer: 'refused', Attempts: 1 } as const;
  expect(whyUndelivered([waiting, dead])).toMatchObject([
    { because: 'mail did not take the message', detail: 'refused', waits: true },
    { because: 'pager did not take the message', detail: '503', waits: false },
  ]);
  expect(whyUndelivered([dead, { ...waiting, State: 'sent' }])).toBeNull();
  expect(whyUndelivered([{ ...waiting, Attempts: 0 }])).toBeNull();
  expect(whyUndelivered([])).toBeNull();
});

it('says how a subject is seen, in sentences', () => {
  const calm = {
    Status: 100,
    Confirmed: 100,
    Since: 0,
    Flapping: false,
    Silenced: null,
    Acked: null,
    Behind: null,
  };
  expect(standingWords(calm)).toBe('Nothing holds messages about it back.');
  expect(standingWords({ ...calm, Status: 300, Acked: 'ada until 08:00', Behind: 'sw1' })).toBe(
    'It shows 300, which too few runs have said: 100 counts. Somebody looks after it: ada until ' +
      '08:00. It is behind sw1, which is down.',
  );
});
