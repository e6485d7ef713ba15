/** Probes that are changed from the page two levels above them. */
import type { Page } from '@playwright/test';
import { arrived, open } from './fixture/pages.ts';
import { expect, test, useTree } from './fixture/test.ts';

const tree = useTree((tree) => {
  // One of its own for each test, so that none depends on another.
  for (const name of [
    'to_run',
    'to_retime',
    'to_disable',
    'to_enable',
    'for_two',
    'to_wait',
    'to_cancel',
  ])
    tree.leaf.puppet(name, { Status: 100, Message: 'at rest' }, 3600);
  tree.asked.puppet('asked_to_run', { Status: 100, Message: 'at rest' }, 3600);
});

// The schedule of a host that is away cannot be asked for.
test.use({ tolerated: /503.*schedule/ });

const probe = (page: Page, name: string, host = 'leaf') =>
  open(page, tree.top.url, { path: `/hosts/${host}/probes/${name}`, heading: name });

async function disable(page: Page, reason: string) {
  await page.getByRole('button', { name: 'Disable' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('textbox', { name: 'Reason' }).fill(reason);
  await dialog.getByRole('button', { name: 'Disable' }).click();
  await expect(dialog).toHaveCount(0);
}

test('a probe two levels below is run now', async ({ page }) => {
  await probe(page, 'to_run');
  await expect(page.getByRole('region', { name: 'What it says' })).toContainText('at rest');
  tree.leaf.tell('to_run', { Status: 250, Message: 'run by hand' });
  await page.getByRole('button', { name: 'Run now' }).click();
  await expect(page.getByText('to_run has run.')).toBeVisible();
  await expect(page.getByRole('region', { name: 'What it says' })).toContainText('run by hand');
  await expect(page.getByText('Warning').first()).toBeVisible();
});

test('a probe of a host that is asked over HTTP is run now', async ({ page }) => {
  await probe(page, 'asked_to_run', 'asked');
  tree.asked.tell('asked_to_run', { Status: 250, Message: 'run by hand' });
  await page.getByRole('button', { name: 'Run now' }).click();
  await expect(page.getByText('asked_to_run has run.')).toBeVisible();
  await expect(page.getByRole('region', { name: 'What it says' })).toContainText('run by hand');
});

test('a probe gets another interval', async ({ page }) => {
  await probe(page, 'to_retime');
  await expect(page.getByRole('region', { name: 'When it runs' })).toContainText('1 h');
  await page.getByRole('button', { name: 'Interval' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('spinbutton').fill('120');
  await dialog.getByRole('button', { name: 'Change' }).click();
  await expect(page.getByText('to_retime runs every 2 min now.')).toBeVisible();
  await expect(page.getByRole('region', { name: 'When it runs' })).toContainText('2 min');
  const schedule = await tree.leaf.json<{ Probes: { Name: string; Interval: number }[] }>(
    '/api/probes',
  );
  expect(schedule.Probes.find(({ Name }) => Name === 'to_retime')?.Interval).toBe(120);
});

test('a probe is switched off, listed with its reason, and switched on again', async ({ page }) => {
  await probe(page, 'to_disable');
  await disable(page, 'the tape robot is being moved');
  await expect(page.getByRole('region', { name: 'Switched off' })).toContainText(
    'the tape robot is being moved',
  );
  await page.getByRole('link', { name: /^Disabled/ }).click();
  await arrived(page, 'Disabled probes');
  const row = page.getByRole('list', { name: 'Disabled probes' }).getByRole('listitem');
  await expect(row.filter({ hasText: 'to_disable' })).toContainText(
    'the tape robot is being moved',
  );
  await page.getByRole('button', { name: 'Enable to_disable on leaf' }).click();
  const dialog = page.getByRole('dialog');
  await expect(dialog.getByRole('spinbutton')).toHaveValue('3600');
  await dialog.getByRole('button', { name: 'Enable' }).click();
  await expect(page.getByText('to_disable on leaf runs again')).toBeVisible();
  await expect(row.filter({ hasText: 'to_disable' })).toHaveCount(0);
  await probe(page, 'to_disable');
  await expect(page.getByRole('region', { name: 'Switched off' })).toHaveCount(0);
});

test('a probe is switched on again from its own page', async ({ page }) => {
  await probe(page, 'to_enable');
  await disable(page, 'only for a moment');
  await page.getByRole('button', { name: 'Enable again' }).click();
  await expect(page.getByText(/to_enable runs again/)).toBeVisible();
  await expect(page.getByRole('region', { name: 'Switched off' })).toHaveCount(0);
});

test('what one operator does, another sees at once', async ({ page, browser }) => {
  const other = await browser.newPage();
  await probe(page, 'for_two');
  await open(other, tree.top.url, { path: '/disabled', heading: 'Disabled probes' });
  await disable(page, 'both of us look');
  await expect(other.getByText('both of us look')).toBeVisible();
  await open(other, tree.top.url, { path: '/hosts/leaf/probes/for_two', heading: 'for_two' });
  await expect(other.getByRole('region', { name: 'Switched off' })).toContainText(
    'both of us look',
  );
  await other.getByRole('button', { name: 'Enable again' }).click();
  await expect(page.getByRole('region', { name: 'Switched off' })).toHaveCount(0);
  await other.close();
});

test('orders wait for a host that is away, and are done when it is back', async ({ page }) => {
  await tree.leaf.stop();
  await probe(page, 'to_wait');
  await expect(page.getByText('The host is stopped.')).toBeVisible();
  await disable(page, 'as soon as you are back');
  await expect(page.getByText('The order waits for it')).toBeVisible();
  await probe(page, 'to_cancel');
  await disable(page, 'never mind');

  await open(page, tree.top.url, { path: '/orders', heading: 'Orders' });
  const waiting = page.getByRole('list', { name: 'Waiting orders' }).getByRole('listitem');
  await expect(waiting).toHaveCount(2);
  await expect(waiting.filter({ hasText: 'to_wait' })).toContainText('as soon as you are back');
  await page.getByRole('button', { name: /^Cancel: .*to_cancel on leaf/ }).click();
  await page.getByRole('button', { name: 'Cancel the order' }).click();
  await expect(waiting).toHaveCount(1);
  const finished = page.getByRole('list', { name: 'Finished orders' }).getByRole('listitem');
  await expect(finished.filter({ hasText: 'to_cancel' })).toContainText('Cancelled');

  await tree.leaf.start();
  await expect(finished.filter({ hasText: 'to_wait' })).toContainText('Done');
  await expect(page.getByText('No order waits.')).toBeVisible();
  await open(page, tree.top.url, { path: '/disabled', heading: 'Disabled probes' });
  await expect(page.getByText('as soon as you are back')).toBeVisible();
  await expect(page.getByText('never mind')).toHaveCount(0);
});

test('every change is in the audit, with what was before and after', async ({ page }) => {
  await probe(page, 'to_run');
  await page.getByRole('button', { name: 'Run now' }).click();
  await expect(page.getByText('to_run has run.')).toBeVisible();
  await open(page, tree.top.url, { path: '/audit', heading: 'Audit' });
  const changes = page.getByRole('list', { name: 'Changes' }).getByRole('listitem');
  await expect(changes.first()).toContainText('to_run');
  await expect(changes.first()).toContainText('127.0.0.1');
});

test.describe(() => {
  test.use({ tolerated: /status of 403/ });

  test('a host that does not let itself be changed says which key is missing', async ({ page }) => {
    tree.middle.set('PushClient', 'AllowRemoteControl', false);
    await tree.middle.stop();
    await tree.middle.start();
    await tree.settled();
    await probe(page, 'uptime', 'middle');
    await expect(page.getByText('AllowRemoteControl')).toBeVisible();
    await expect(page.getByRole('button', { name: 'Run now' })).toHaveCount(0);
  });
});
