/** What the caller may not do, and what would have to change: said before it is tried. */
import type { Whoami } from './types';

/**
 * What a control needs: `operator` the role; `probes` and `messages` also an instance that lets its web page
 * change probes, or hold messages back.
 */
export type Need = 'operator' | 'probes' | 'messages';

const TWICE: Partial<Record<Need, string>> = {
  probes: 'change probes',
  messages: 'hold messages back',
};

/** Why not, as sentences; empty if it may be done. While it is not known who we are, nothing is offered. */
export function whyNot(who: Whoami | null, need: Need): string {
  if (!who) return 'It is not known yet what you may do here.';
  if (who.Role !== 'operator') {
    const name = who.How === 'anonymous' ? 'You are not signed in' : `You are ${who.Name}`;
    return `${name} and may only look. Changes need the role operator.`;
  }
  const twice = TWICE[need];
  if (twice && !who.WriteActionsAllowed) {
    return (
      `This instance does not let the web page ${twice}. Set AllowWriteActions = true in the ` +
      'section [Http] of its wigo.conf, and reload it.'
    );
  }
  return '';
}
