/** Everything without a mouse: find a host, look into a probe, run it. */
import type { Page } from '@playwright/test';
import { arrived, open } from './fixture/pages.ts';
import { expect, test, useTree } from './fixture/test.ts';

const tree = useTree();

/** Presses Tab until what has the focus is called so. */
async function tabTo(page: Page, name: string | RegExp) {
  const most = 80;
  for (let presses = 0; presses < most; presses += 1) {
    await page.keyboard.press('Tab');
    const wanted = page.getByRole('button', { name }).or(page.getByRole('link', { name }));
    const focused = await wanted.evaluateAll((all) =>
      all.some((one) => one === document.activeElement),
    );
    if (focused) return;
  }
  throw new Error(`${String(name)} was not reached with ${most} presses of Tab`);
}

/** What has the focus can be seen to have it. */
async function seesFocus(page: Page) {
  const seen = await page.evaluate(() => {
    for (let one = document.activeElement; one && one !== document.body; one = one.parentElement) {
      const style = getComputedStyle(one);
      if (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0) return true;
    }
    return false;
  });
  expect(seen, 'the focus is visible').toBe(true);
}

test('Ctrl-K finds a probe, and Tab and Enter run it', async ({ page }) => {
  await open(page, tree.top.url, { path: '/', heading: /./ });
  await page.keyboard.press('Control+k');
  await expect(page.getByRole('combobox', { name: 'Host, probe, group or page' })).toBeFocused();
  await page.keyboard.type('queue_le');
  await expect(page.getByRole('option', { name: /queue_length/ }).first()).toBeVisible();
  await page.keyboard.press('Enter');
  await arrived(page, 'queue_length');
  await expect(page).toHaveURL(/\/hosts\/leaf\/probes\/queue_length$/);
  await tabTo(page, 'Run now');
  await seesFocus(page);
  await page.keyboard.press('Enter');
  await expect(page.getByText('queue_length has run.')).toBeVisible();
});

test('j, k and Enter go through lists, g and a letter to pages', async ({ page }) => {
  await open(page, tree.top.url, { path: '/', heading: /./ });
  await page.keyboard.press('g');
  await page.keyboard.press('h');
  await arrived(page, 'Hosts');
  const hosts = page.getByRole('list', { name: 'Hosts' }).getByRole('listitem');
  await expect(hosts).toHaveCount(4);
  await page.keyboard.press('j');
  await page.keyboard.press('j');
  await page.keyboard.press('k');
  await expect(hosts.first().getByRole('link').first()).toBeFocused();
  await seesFocus(page);
  await page.keyboard.press('Enter');
  await arrived(page, 'leaf');
  await page.keyboard.press('j');
  await page.keyboard.press('Enter');
  await arrived(page, 'filesystems');
  for (const [key, heading] of [
    ['l', 'Logs'],
    ['d', 'Disabled probes'],
    ['a', 'Authority'],
    ['t', 'Access'],
    ['u', 'Audit'],
    ['i', 'About this instance'],
    ['w', /./],
    ['o', /./],
  ] as const) {
    await page.keyboard.press('g');
    await page.keyboard.press(key);
    await arrived(page, heading);
  }
  await expect(page).toHaveURL(`${tree.top.url}/`);
});

test('the question mark lists the keys, Escape closes, and the focus returns', async ({ page }) => {
  await open(page, tree.top.url, { path: '/', heading: /./ });
  await tabTo(page, 'Hosts');
  await page.keyboard.press('?');
  const dialog = page.getByRole('dialog', { name: 'Keys' });
  await expect(dialog).toContainText('Search everything');
  await expect(dialog).toContainText('Next row');
  await page.keyboard.press('Escape');
  await expect(dialog).toHaveCount(0);
  await expect(page.getByRole('link', { name: 'Hosts' }).first()).toBeFocused();
});

test('the slash filters, Escape leaves the field, and typing there is no shortcut', async ({
  page,
}) => {
  await open(page, tree.top.url, { path: '/hosts', heading: 'Hosts' });
  await page.keyboard.press('/');
  await page.keyboard.type('gleak?j');
  await expect(page.getByRole('searchbox', { name: 'Name of the host' })).toHaveValue('gleak?j');
  await expect(page.getByText('No host matches these filters.')).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(page.getByRole('searchbox', { name: 'Name of the host' })).not.toBeFocused();
  await arrived(page, 'Hosts');
});

test('a probe is switched off and on with the keyboard', async ({ page }) => {
  await open(page, tree.top.url, { path: '/hosts/leaf/probes/backup_age', heading: 'backup_age' });
  await tabTo(page, /^Disable$/);
  await page.keyboard.press('Enter');
  const dialog = page.getByRole('dialog');
  await expect(dialog).toBeVisible();
  const reason = dialog.getByRole('textbox', { name: 'Reason' });
  while (!(await reason.evaluate((one) => one === document.activeElement)))
    await page.keyboard.press('Tab');
  await page.keyboard.type('by the keyboard');
  await tabTo(page, /^Disable$/);
  await page.keyboard.press('Enter');
  await expect(page.getByRole('region', { name: 'Switched off' })).toContainText('by the keyboard');
  await tabTo(page, 'Enable again');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('region', { name: 'Switched off' })).toHaveCount(0);
});

test('the first Tab offers to skip to the page', async ({ page }) => {
  await open(page, tree.top.url, { path: '/hosts', heading: 'Hosts' });
  await page.keyboard.press('Tab');
  await expect(page.getByRole('link', { name: 'Skip to the page' })).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(page.locator('#main')).toBeFocused();
});
