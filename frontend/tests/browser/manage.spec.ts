/** What an operator does with clients and the log, and what the page does when nobody looks. */
import { Agent } from './fixture/agent.ts';
import { arrived, open } from './fixture/pages.ts';
import { expect, test, useAgents } from './fixture/test.ts';
import { waitFor } from './fixture/wait.ts';

const agents = useAgents(async () => {
  const master = (await Agent.make('master', 'masters')).puppet('raid', {
    Status: 100,
    Message: 'all disks are in place',
  });
  const port = await master.takesClients();
  const newcomer = (await Agent.make('newcomer', 'shops')).reportsTo(port).puppet('queue', {
    Status: 230,
    Message: '40 messages wait',
  });
  return { master, newcomer };
});

test('a client waits, is compared, let in, and thrown out again', async ({ page }) => {
  await open(page, agents.master.url, { path: '/authority', heading: 'Authority' });
  const waiting = page.getByRole('list', { name: 'Waiting clients' });
  await expect(waiting).toContainText('newcomer');
  await waiting.getByRole('button', { name: 'Allow…' }).click();
  const dialog = page.getByRole('dialog');
  const allow = dialog.getByRole('button', { name: 'Allow', exact: true });
  const field = dialog.getByRole('textbox');
  await expect(allow).toBeDisabled();
  await field.fill('0'.repeat(64));
  await expect(dialog.getByText('It is another key')).toBeVisible();
  await expect(allow).toBeDisabled();
  // As an operator finds it: in the log of the client.
  const said = await waitFor('the client says its fingerprint', () =>
    agents.newcomer.log.match(/\b[0-9a-fA-F]{2}(?::[0-9a-fA-F]{2}){31}\b|\b[0-9a-f]{64}\b/g),
  );
  for (const one of new Set(said)) {
    await field.fill(one);
    if (await dialog.getByText('It is the same.').isVisible()) break;
  }
  await allow.click();
  await expect(page.getByText('newcomer may push now.')).toBeVisible();
  await expect(page.getByText('Nobody waits.')).toBeVisible();
  await page
    .getByRole('list', { name: 'Allowed clients' })
    .getByRole('link', { name: 'newcomer' })
    .click();
  await arrived(page, 'newcomer');
  await expect(page.getByText('40 messages wait').first()).toBeVisible();
  await page.goBack();
  await page.getByRole('button', { name: 'Revoke newcomer' }).click();
  await dialog.getByRole('button', { name: 'Revoke', exact: true }).click();
  await expect(page.getByText('newcomer may no longer push.')).toBeVisible();
  await expect(page.getByText('No client is allowed yet.')).toBeVisible();
});

test('a join token is shown once, and dropped', async ({ page }) => {
  await open(page, agents.master.url, { path: '/authority', heading: 'Authority' });
  await page.getByRole('button', { name: 'New join token…' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: 'Make it' }).click();
  const token = dialog.getByText(/^wigo-join_/).first();
  await expect(token).toBeVisible();
  const text = (await token.innerText()).trim();
  await dialog.getByRole('button', { name: 'I have it' }).click();
  await expect(page.getByText(text)).toHaveCount(0);
  await page.getByRole('button', { name: /^Drop join token/ }).click();
  await dialog.getByRole('button', { name: 'Drop', exact: true }).click();
  await expect(page.getByText('There are no join tokens.')).toBeVisible();
});

test('the log is narrowed by level and by text, pauses, and goes on', async ({ page }) => {
  agents.master.tell('raid', { Status: 300, Message: 'sdb has left' });
  await agents.master.ended('raid', 'sdb has left');
  await open(page, agents.master.url, { path: '/logs?level=crit', heading: 'Logs' });
  const entries = page.getByRole('list', { name: 'Log' }).getByRole('listitem');
  await expect(entries).toHaveCount(1);
  await expect(entries).toContainText('sdb has left');
  await page.getByRole('combobox', { name: 'Level' }).selectOption('');
  await expect(entries).not.toHaveCount(1);
  await page.getByRole('searchbox', { name: 'Text' }).fill('HAS LEFT');
  await expect(page).toHaveURL(/q=HAS/);
  await expect(entries).toHaveCount(1);
  await page.getByRole('button', { name: 'Pause' }).click();
  agents.master.tell('raid', { Status: 310, Message: 'sdc has left as well' });
  await expect(page.getByRole('button', { name: /1 new/ })).toBeVisible();
  await expect(entries).toHaveCount(1);
  await page.getByRole('button', { name: /1 new/ }).click();
  await expect(entries).toHaveCount(2);
  await expect(entries.first()).toContainText('sdc has left as well');
});

test('who wants it is notified while the page is hidden', async ({ page }) => {
  // Chromium without a desktop shows none: what would be shown is noted.
  await page.addInitScript(() => {
    const told: string[] = [];
    class Noted {
      static permission = 'granted';
      static requestPermission = () => Promise.resolve('granted');
      onclick = null;
      constructor(title: string, options: { body: string }) {
        told.push(`${title}: ${options.body}`);
      }
      close() {}
    }
    Object.assign(window, { Notification: Noted, told });
  });
  agents.master.tell('raid', { Status: 100, Message: 'all disks are back' });
  await agents.master.ended('raid', 'all disks are back');
  await open(page, agents.master.url, { path: '/', heading: /^(All is well|\d+ )/ });
  await page.getByRole('button', { name: 'You and this page' }).click();
  await page.getByRole('checkbox', { name: 'Notify me when it gets worse' }).check();
  await page.evaluate(() => {
    Object.defineProperty(document, 'visibilityState', { value: 'hidden' });
    Object.defineProperty(document, 'hidden', { value: true });
    document.dispatchEvent(new Event('visibilitychange'));
  });
  agents.master.tell('raid', { Status: 350, Message: 'the array is gone' });
  const told = () => page.evaluate(() => (window as unknown as { told: string[] }).told.join('\n'));
  await expect
    .poll(told, { timeout: 60_000 })
    .toMatch(/Wigo: \d+ grave problems?: .*master \/ raid/s);
});
