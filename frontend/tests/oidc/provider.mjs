// A real provider of OpenID Connect for the browser tests: the package `oidc-provider`, on loopback.
//
//   node provider.mjs --redirect http://127.0.0.1:4000/api/oidc/callback [--port 0] [--client wigo] [--secret …]
//
// It says where it is in its first line, `listening on http://127.0.0.1:PORT`, which is its issuer, and ends
// when its standard input does. Its login page takes any password (fields `login` and `password`). Whoever is
// named below has groups; they are in no ID token, so Wigo has to ask for them.
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { Provider, interactionPolicy } from 'oidc-provider';

const GROUPS = { ada: ['ops', 'staff'], bob: ['staff'] };

const { values: given } = parseArgs({
  options: {
    redirect: { type: 'string' },
    port: { type: 'string', default: '0' },
    client: { type: 'string', default: 'wigo' },
    secret: { type: 'string', default: 'a secret of the tests' },
  },
});
if (!given.redirect) {
  console.error('usage: provider.mjs --redirect URL [--port N] [--client ID] [--secret TEXT]');
  process.exit(2);
}

/** Somebody by the name that was typed at the login page. */
function account(name) {
  return {
    accountId: name,
    claims: () => ({
      sub: name,
      preferred_username: name,
      email: `${name}@example.org`,
      email_verified: true,
      groups: GROUPS[name] ?? [],
    }),
  };
}

/** Nobody is asked whether Wigo may know: all is granted at once. */
async function grantAll(context) {
  const { client, session, params } = context.oidc;
  const grant = new context.oidc.provider.Grant({
    clientId: client.clientId,
    accountId: session.accountId,
  });
  grant.addOIDCScope(params.scope);
  await grant.save();
  return grant;
}

// Plain HTTP on this machine is allowed to native applications alone, and those are asked for consent each time.
const policy = interactionPolicy.base();
policy.get('consent').checks.remove('native_client_prompt');

const server = createServer();
await new Promise((listening) => server.listen(Number(given.port), '127.0.0.1', listening));
const issuer = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: given.client,
      client_secret: given.secret,
      redirect_uris: [given.redirect],
      application_type: given.redirect.startsWith('https:') ? 'web' : 'native',
      response_types: ['code'],
      grant_types: ['authorization_code'],
    },
  ],
  claims: {
    openid: ['sub'],
    profile: ['preferred_username', 'groups'],
    email: ['email', 'email_verified'],
  },
  findAccount: (_context, name) => account(name),
  loadExistingGrant: grantAll,
  interactions: { policy },
  pkce: { required: () => true },
  cookies: { keys: ['only for tests'] },
});
server.on('request', provider.callback());
console.log(`listening on ${issuer}`);
process.stdin.resume().on('end', () => process.exit(0));
