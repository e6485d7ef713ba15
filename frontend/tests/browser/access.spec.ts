/** Who may: signing in and out, wrong passwords, roles, and rights that end while a page is open. */
import type { Page } from '@playwright/test';
import { Agent } from './fixture/agent.ts';
import { arrived, open } from './fixture/pages.ts';
import { expect, test, useAgents } from './fixture/test.ts';
import { waitFor } from './fixture/wait.ts';

const PASSWORD = 'correct horse battery staple';

const agents = useAgents(async () => {
  const make = async (name: string) =>
    (await Agent.make(name))
      .set('Http', 'AllowWriteActions', true)
      .puppet('uptime', { Status: 100, Message: 'up' });
  return { closed: await make('closed'), throttled: await make('throttled') };
});
// What is refused stands in the console of a browser.
test.use({ tolerated: /status of (401|403|429)|404.*authority.hosts/ });

test.beforeAll(() => {
  for (const [name, role] of [
    ['olivia', 'operator'],
    ['oscar', 'operator'],
    ['otto', 'operator'],
    ['rita', 'readonly'],
    ['rudi', 'readonly'],
  ])
    agents.closed.wigo(['user', 'add', name ?? '', '--role', role ?? ''], `${PASSWORD}\n`);
  agents.throttled.wigo(['user', 'add', 'olivia', '--role', 'operator'], `${PASSWORD}\n`);
});
test.beforeAll(async () => {
  for (const agent of Object.values(agents))
    await waitFor(
      'the agent has noticed its users',
      async () => (await agent.ask('/api/summary')).status === 401,
    );
});

async function signIn(page: Page, name: string, password = PASSWORD) {
  await page.getByRole('textbox', { name: 'Name' }).fill(name);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('button', { name: 'Sign in' }).click();
}

/** Signs in, and is on the page that was asked for. */
async function enter(
  page: Page,
  name: string,
  path = '/',
  heading: string | RegExp = 'All is well',
) {
  await page.goto(agents.closed.url + path);
  await expect(page).toHaveURL(/\/login/);
  await signIn(page, name);
  await arrived(page, heading);
}

test('who is not signed in is led to the login page, and back to where they wanted to go', async ({
  page,
}) => {
  await page.goto(`${agents.closed.url}/logs?probe=uptime`);
  await expect(page).toHaveURL(/\/login\?next=%2Flogs%3Fprobe%3Duptime$/);
  await expect(page.getByRole('textbox', { name: 'Name' })).toBeFocused();
  await signIn(page, 'olivia');
  await arrived(page, 'Logs');
  await expect(page).toHaveURL(`${agents.closed.url}/logs?probe=uptime`);
  await page.getByRole('button', { name: 'You and this page' }).click();
  await expect(page.getByText('olivia')).toBeVisible();
  const cookies = await page.context().cookies();
  expect(cookies.map(({ name, httpOnly, sameSite }) => ({ name, httpOnly, sameSite }))).toEqual([
    { name: 'wigo_session', httpOnly: true, sameSite: 'Strict' },
  ]);
});

test('a wrong password and an unknown name are refused with the same words', async ({ page }) => {
  await page.goto(`${agents.closed.url}/login`);
  for (const name of ['rudi', 'nobody']) {
    await signIn(page, name, 'wrong');
    await expect(page.getByRole('alert')).toHaveText('The name or the password is wrong.');
    await expect(page.getByLabel('Password')).toHaveValue('');
    await expect(page.getByLabel('Password')).toBeFocused();
  }
  expect(await page.context().cookies()).toEqual([]);
});

test('who tries too often has to wait, and is told how long', async ({ page }) => {
  await page.goto(`${agents.throttled.url}/login`);
  for (let tries = 0; tries < 20; tries += 1) {
    await signIn(page, 'olivia', `wrong ${tries}`);
    await expect(page.getByRole('alert')).toBeVisible();
    if ((await page.getByRole('alert').innerText()).includes('too many tries')) break;
  }
  await expect(page.getByRole('alert')).toContainText(/There were too many tries\. *Try again in/);
  await expect(page.getByRole('button', { name: 'Sign in' })).toBeDisabled();
});

test('signing out ends the session, in other windows of the browser as well', async ({
  page,
  context,
}) => {
  await enter(page, 'olivia');
  const other = await context.newPage();
  await open(other, agents.closed.url, { path: '/hosts', heading: 'Hosts' });
  await page.getByRole('button', { name: 'You and this page' }).click();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await expect(page).toHaveURL(/\/login/);
  await expect(other).toHaveURL(/\/login\?next=%2Fhosts/);
  await page.goto(`${agents.closed.url}/hosts`);
  await expect(page).toHaveURL(/\/login/);
});

test('a session that is ended while in use leads to the login page', async ({ page }) => {
  await enter(page, 'oscar', '/hosts/closed', 'closed');
  agents.closed.wigo(['user', 'password', 'oscar'], `another ${PASSWORD}\n`);
  await expect(page).toHaveURL(/\/login\?next=%2Fhosts%2Fclosed/);
  await signIn(page, 'oscar', `another ${PASSWORD}`);
  await arrived(page, 'closed');
});

test('a user who is removed by another is out at once', async ({ page, browser }) => {
  const other = await browser.newPage();
  await enter(other, 'rudi');
  await enter(page, 'olivia', '/access', 'Access');
  await page.getByRole('button', { name: 'Remove rudi' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await expect(other).toHaveURL(/\/login/);
  await expect(page.getByRole('button', { name: 'Remove rudi' })).toHaveCount(0);
  await other.close();
});

test('a token that is revoked while in use ends what was open with it', async ({
  page,
  browser,
}) => {
  await enter(page, 'olivia', '/access', 'Access');
  await page.getByRole('button', { name: 'New token' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('textbox', { name: 'Name' }).fill('the wall');
  await dialog.getByRole('button', { name: 'Make it' }).click();
  const secret = (await dialog.getByText(/^wigo_/).innerText()).trim();
  await dialog.getByRole('button', { name: 'I have it' }).click();
  await expect(page.getByText(secret)).toHaveCount(0);
  // A screen that sends its token with each request, as a proxy before it would.
  const wall = await browser.newContext({
    extraHTTPHeaders: { Authorization: `Bearer ${secret}` },
  });
  const screen = await wall.newPage();
  await open(screen, agents.closed.url, { path: '/hosts', heading: 'Hosts' });
  await expect(screen.getByText('Live', { exact: true })).toBeVisible();
  await page.getByRole('button', { name: 'Revoke token the wall' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
  await expect(screen).toHaveURL(/\/login/);
  await expect(page.getByText(/revoked/).first()).toBeVisible();
  await wall.close();
});

test('who may only look sees no controls', async ({ page }) => {
  await enter(page, 'rita', '/hosts/closed/probes/uptime', 'uptime');
  for (const name of ['Run now', 'Interval', 'Disable', 'Acknowledge', 'Silence'])
    await expect(page.getByRole('button', { name })).toHaveCount(0);
  const pages = page.getByRole('navigation', { name: 'Pages' });
  await expect(pages.getByRole('link', { name: 'Logs' })).toBeVisible();
  for (const name of ['Access', 'Audit'])
    await expect(pages.getByRole('link', { name })).toHaveCount(0);
  for (const path of ['/access', '/audit']) {
    await page.goto(agents.closed.url + path);
    await expect(page.getByText('This page is for operators')).toBeVisible();
  }
  for (const path of ['/disabled', '/orders', '/authority', '/held', '/maintenance', '/channels']) {
    await page.goto(agents.closed.url + path);
    await expect(page.getByText('may only look').first()).toBeVisible();
    await expect(
      page.getByRole('button', {
        name: /^(Enable|Cancel|Allow|Revoke|New|Drop|Silence|Lift|Test)/,
      }),
    ).toHaveCount(0);
  }
});

test('a role that changes while a page is open changes the page', async ({ page, browser }) => {
  const other = await browser.newPage();
  await enter(page, 'olivia', '/access', 'Access');
  await enter(other, 'otto', '/hosts/closed/probes/uptime', 'uptime');
  await expect(other.getByRole('button', { name: 'Run now' })).toBeVisible();
  await page.getByRole('button', { name: 'Change the role of otto' }).click();
  await page.getByRole('dialog').getByRole('combobox', { name: 'Role' }).selectOption('readonly');
  await page.getByRole('dialog').getByRole('button', { name: 'Change' }).click();
  // The sessions of a user whose role changes end: they sign in again.
  await expect(other).toHaveURL(/\/login/);
  await signIn(other, 'otto');
  await arrived(other, 'uptime');
  await expect(other.getByRole('button', { name: 'Run now' })).toHaveCount(0);
  await other.close();
});

test('users are added and their passwords changed on the page', async ({ page, browser }) => {
  await enter(page, 'olivia', '/access', 'Access');
  const dialog = page.getByRole('dialog');
  await page.getByRole('button', { name: 'New user' }).click();
  await dialog.getByRole('textbox', { name: 'Name' }).fill('nina');
  await dialog.getByLabel('New password').fill(PASSWORD);
  await dialog.getByLabel('The same again').fill(PASSWORD);
  await dialog.getByRole('button', { name: 'Add' }).click();
  await expect(page.getByRole('button', { name: 'Remove nina' })).toBeVisible();
  const other = await browser.newPage();
  await enter(other, 'nina');
  await other.close();
});
