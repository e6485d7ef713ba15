/** What breaks becomes an incident that can be read, looked after, silenced and explained on the pages. */
import type { Page } from '@playwright/test';
import { open } from './fixture/pages.ts';
import { expect, test, useTree } from './fixture/test.ts';

const tree = useTree((tree) => {
  // Else what breaks on the same host within a moment would be part of its incident.
  tree.leaf.tell('filesystems', { Status: 100, Message: '/srv is 40 % full' });
  for (const name of ['to_ack', 'to_silence', 'to_explain'])
    tree.leaf.puppet(name, { Status: 100, Message: 'all is well' }, 2);
});

/** Breaks a probe of the leaf, and follows the incident that opens on the overview. */
async function broken(page: Page, probe: string): Promise<void> {
  await open(page, tree.top.url, { path: `/hosts/leaf/probes/${probe}`, heading: probe });
  tree.leaf.tell(probe, { Status: 350, Message: `${probe} has broken` });
  const section = page.getByRole('region', { name: 'Open incident' });
  await section.getByRole('link', { name: /leaf/ }).first().click();
  await expect(page).toHaveURL(/\/incidents\/[0-9a-f-]{36}$/);
  await expect(page.getByRole('heading', { name: 'What is broken' })).toBeVisible();
}

test('an incident is looked after, and is over when its probe is well again', async ({ page }) => {
  await broken(page, 'to_ack');
  await page.keyboard.press('a');
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('textbox', { name: 'Reason' }).fill('the disk is on its way');
  await dialog.getByRole('button', { name: 'Acknowledge' }).click();
  await expect(page.getByText('looks after it').first()).toBeVisible();
  await expect(page.getByText('the disk is on its way').first()).toBeVisible();

  await page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name: 'Held' }).click();
  await expect(page.getByRole('link', { name: 'to_ack on leaf' })).toBeVisible();
  await page.goBack();
  tree.leaf.tell('to_ack', { Status: 100, Message: 'all is well again' });
  await expect(page.getByRole('heading', { name: 'What was broken' })).toBeVisible();
});

test('a probe is silenced from its page, and the silence lifted', async ({ page }) => {
  await open(page, tree.top.url, { path: '/hosts/leaf/probes/to_silence', heading: 'to_silence' });
  await page.getByRole('button', { name: 'Silence' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByText('4 h', { exact: true }).click();
  await dialog.getByRole('textbox', { name: 'Reason' }).fill('it is being moved');
  await dialog.getByRole('button', { name: 'Silence' }).click();
  const held = page.getByRole('region', { name: 'Held back' });
  await expect(held).toContainText('it is being moved');
  await held.getByRole('button', { name: 'Lift' }).click();
  await expect(held).toHaveCount(0);
});

test('it is said why nobody was told', async ({ page }) => {
  // No channel is configured.
  await broken(page, 'to_explain');
  await expect(page.getByText('Nobody was told, because')).toBeVisible();
  await page.getByRole('list', { name: 'Decisions' }).getByRole('button').first().click();
  await expect(page.getByRole('list', { name: 'What was asked' }).first()).toBeVisible();
});

test('a window is previewed as it is typed, planned, and removed', async ({ page }) => {
  await open(page, tree.top.url, { path: '/', heading: /./ });
  const pages = page.getByRole('navigation', { name: 'Pages' });
  await pages.getByRole('link', { name: 'Maintenance' }).click();
  await page.getByRole('button', { name: 'New window' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('textbox', { name: 'Name: what is done then' }).fill('patch night');
  await dialog.getByRole('textbox', { name: 'Name of the host' }).fill('leaf');
  await dialog.getByRole('combobox', { name: 'How often' }).selectOption('week');
  await dialog.getByRole('checkbox', { name: 'Tue' }).check();
  const times = dialog.getByRole('list', { name: 'Next times' }).getByRole('listitem');
  await expect(times).toHaveCount(5);
  await dialog.getByRole('button', { name: 'Plan it' }).click();
  const windows = page.getByRole('list', { name: 'Windows' });
  await expect(windows).toContainText('every Tuesday at 02:00 for 2 h, UTC');
  await windows.getByRole('button', { name: 'Remove patch night' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
  await expect(page.getByText('No maintenance is planned.')).toBeVisible();
});
