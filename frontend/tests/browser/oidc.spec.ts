/** Signing in at a provider of OpenID Connect: a real one, on this machine. */
import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import type { Page } from '@playwright/test';
import { Agent } from './fixture/agent.ts';
import { arrived } from './fixture/pages.ts';
import { expect, test, useAgents } from './fixture/test.ts';
import { waitFor } from './fixture/wait.ts';

const SECRET = 'a secret of the tests';
let provider: ChildProcess;

/** Starts the provider, which ends with its standard input; its address is its name. */
async function startProvider(redirect: string): Promise<string> {
  const script = join(import.meta.dirname, '../oidc/provider.mjs');
  provider = spawn(process.execPath, [script, '--redirect', redirect, '--secret', SECRET], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let said = '';
  provider.stdout?.setEncoding('utf8').on('data', (text: string) => (said += text));
  return waitFor('the provider listens', () => /listening on (\S+)/.exec(said)?.[1]);
}
test.afterAll(() => void provider?.stdin?.end());

const agents = useAgents(async () => {
  const agent = (await Agent.make('closed'))
    .set('Http', 'AllowWriteActions', true)
    .puppet('uptime', { Status: 100, Message: 'up' });
  const issuer = await startProvider(`${agent.url}/api/oidc/callback`);
  agent
    .set('OpenIdConnect', 'Enabled', true)
    .set('OpenIdConnect', 'Issuer', issuer)
    .set('OpenIdConnect', 'ClientId', 'wigo')
    .set('OpenIdConnect', 'ClientSecret', SECRET)
    .set('OpenIdConnect', 'PublicUrl', agent.url)
    .set('OpenIdConnect', 'OperatorGroups', ['ops'])
    .set('OpenIdConnect', 'ReadonlyGroups', ['staff'])
    .set('OpenIdConnect', 'DisplayName', 'the house key');
  return { agent };
});
// The login page of the provider is its own: it asks for an icon and a font that are not ours.
test.use({ tolerated: /status of 40[13]|favicon|fonts\.googleapis/ });

async function signIn(page: Page, name: string, path = '/') {
  await page.route('https://fonts.googleapis.com/**', (route) => route.abort());
  await page.goto(agents.agent.url + path);
  await page.getByRole('link', { name: 'Sign in with the house key' }).click();
  await page.locator('input[name=login]').fill(name);
  await page.locator('input[name=password]').fill('whatever');
  await page.getByRole('button').click();
}

test('a group of the provider makes an operator, who is back where they wanted to go', async ({
  page,
}) => {
  await signIn(page, 'ada', '/hosts/closed/probes/uptime');
  await arrived(page, 'uptime');
  await expect(page.getByRole('button', { name: 'Run now' })).toBeVisible();
  await page.getByRole('button', { name: 'You and this page' }).click();
  await expect(page.getByText('ada')).toBeVisible();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect(page).toHaveURL(/\/login/);
});

test('another group may only look', async ({ page }) => {
  await signIn(page, 'bob', '/hosts/closed/probes/uptime');
  await arrived(page, 'uptime');
  await expect(page.getByRole('button', { name: 'Run now' })).toHaveCount(0);
});

test('who is in no group is told so, and is not let in', async ({ page }) => {
  await signIn(page, 'mallory');
  await expect(page).toHaveURL(new RegExp(`^${agents.agent.url}/login`));
  await expect(page.getByRole('alert')).toContainText(/group/);
  expect((await page.context().cookies()).filter(({ name }) => name === 'wigo_session')).toEqual(
    [],
  );
});

test('an answer for another browser is refused', async ({ page, browser }) => {
  // Somebody lets a victim finish a login that was begun elsewhere.
  const answer = page.waitForRequest((request) => request.url().includes('/api/oidc/callback'));
  await page.route('**/api/oidc/callback*', (route) => route.abort());
  await signIn(page, 'ada');
  const url = (await answer).url();
  const victim = await browser.newPage();
  await victim.goto(url);
  await expect(victim).toHaveURL(/\/login/);
  await expect(victim.getByRole('alert')).toBeVisible();
  await victim.close();
});
