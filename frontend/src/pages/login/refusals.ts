/** What `/login?error=` says: a word of the server (src/access/oidc/refused.rs), never a sentence of a stranger. */

const SENTENCES: Record<string, string> = {
  busy: 'Too many people are signing in at the moment. Try again in a minute.',
  no_provider:
    'The provider cannot be asked. Whoever runs this Wigo finds why in its log; Issuer and CaFile in [OpenIdConnect] may be wrong.',
  other_browser:
    'This browser has not begun to sign in, or has begun again since. Sign in from here, with cookies allowed.',
  too_late: 'Signing in took longer than 10 minutes. Begin again.',
  denied: 'The provider was told not to let Wigo know who you are. Sign in again, and agree.',
  wrong_client:
    'The provider refuses this Wigo. Whoever runs it finds why in its log; ClientId, ClientSecret and the redirect address registered with the provider may be wrong.',
  used_code:
    'The provider does not know this attempt any more, as after loading a page again. Begin again.',
  clock:
    'What the provider says has expired already. Compare the clocks of the provider and of the host of this Wigo.',
  untrusted:
    'What the provider says of you cannot be trusted, so you are not signed in. Whoever runs this Wigo finds why in its log; Issuer and ClientId may be wrong.',
  no_role:
    'The provider knows you, but none of your groups may use this Wigo. Its operator can name one in OperatorGroups or ReadonlyGroups.',
  no_session:
    'You could not be signed in, since the session could not be stored. The log says why.',
};

/** The sentence for a word; empty for none. */
export function refusal(word: string | null): string {
  if (!word) return '';
  return Object.hasOwn(SENTENCES, word)
    ? (SENTENCES[word] ?? '')
    : 'Signing in did not work. Try again; if it fails again, the log of this Wigo says why.';
}
