/** The line to the server, and the server itself, go away and come back: the page says so and recovers. */
import type { Page } from '@playwright/test';
import { open } from './fixture/pages.ts';
import { expect, test, useTree } from './fixture/test.ts';

const tree = useTree();
test.use({
  tolerated:
    /ERR_INTERNET_DISCONNECTED|ERR_CONNECTION_REFUSED|ERR_INCOMPLETE_CHUNKED|ERR_CONNECTION_RESET|ERR_EMPTY_RESPONSE|ERR_NETWORK_CHANGED|ERR_FAILED/,
});

const banner = (page: Page) => page.getByText('The server cannot be reached; trying again.');
const problems = (page: Page) => page.getByRole('list', { name: 'Problems' });

/** Opens the overview, and marks the document: a page that is loaded again has lost the mark. */
async function begin(page: Page) {
  await open(page, tree.top.url, { path: '/', heading: /^\d+ warnings?$/ });
  await expect(page.getByText('Live', { exact: true })).toBeVisible();
  await page.evaluate(() => Object.assign(window, { notLoadedAgain: true }));
}

/** What changed meanwhile is there, without a new page. */
async function recovered(page: Page) {
  await expect(banner(page)).toHaveCount(0);
  await expect(page.getByText('Live', { exact: true })).toBeVisible();
  await expect(problems(page)).toContainText('sdc has left as well');
  expect(await page.evaluate(() => 'notLoadedAgain' in window)).toBe(true);
}

test.beforeEach(() => tree.asked.tell('raid', { Status: 100, Message: 'all disks are in place' }));
test.beforeEach(() => tree.shows('asked', 'raid', 100));

test('offline and back', async ({ page, context }) => {
  await begin(page);
  await context.setOffline(true);
  // The open stream only falls silent: it is taken for dead after 25 s.
  await expect(banner(page)).toBeVisible({ timeout: 60_000 });
  await expect(page.getByText(/^This is how it was .* ago\.$/)).toBeVisible();
  await expect(page).toHaveTitle(/^Stale/);
  tree.asked.tell('raid', { Status: 350, Message: 'sdc has left as well' });
  await tree.shows('asked', 'raid', 350);
  await context.setOffline(false);
  await recovered(page);
});

test('the server is killed and started again', async ({ page }) => {
  await begin(page);
  await tree.top.stop('SIGKILL');
  await expect(banner(page)).toBeVisible();
  // What is known stays on the screen; that it looks its age after a while, a server that hangs shows below.
  await expect(problems(page)).toContainText('/srv is 91 % full');
  tree.asked.tell('raid', { Status: 350, Message: 'sdc has left as well' });
  await tree.top.start();
  await recovered(page);
});

test('the server is stopped in good order and started again', async ({ page }) => {
  await begin(page);
  await tree.top.stop();
  await expect(banner(page)).toBeVisible();
  tree.asked.tell('raid', { Status: 350, Message: 'sdc has left as well' });
  await tree.top.start();
  await page
    .getByRole('button', { name: 'Try now' })
    .click({ timeout: 5_000 })
    .catch(() => {});
  await recovered(page);
});

test('a server that hangs is noticed, on the wall as well', async ({ page, browser }) => {
  const wall = await browser.newPage();
  await open(wall, tree.top.url, { path: '/wall', heading: /^\d+ warnings?$/ });
  await begin(page);
  tree.top.signal('SIGSTOP');
  try {
    await expect(page.getByText(/No news from the server|cannot be reached/)).toBeVisible({
      timeout: 60_000,
    });
    await expect(wall.getByText('The server does not answer.')).toBeVisible({ timeout: 60_000 });
    await expect(page.locator('html')).toHaveAttribute('data-stale');
  } finally {
    tree.top.signal('SIGCONT');
  }
  tree.asked.tell('raid', { Status: 350, Message: 'sdc has left as well' });
  await recovered(page);
  await expect(problems(wall)).toContainText('sdc has left as well');
  await wall.close();
});

test('what was changed while the page was hidden is there when it is shown', async ({ page }) => {
  await begin(page);
  const show = (state: string) =>
    page.evaluate((state) => {
      Object.defineProperty(document, 'visibilityState', { value: state, configurable: true });
      document.dispatchEvent(new Event('visibilitychange'));
    }, state);
  await show('hidden');
  tree.asked.tell('raid', { Status: 350, Message: 'sdc has left as well' });
  await tree.shows('asked', 'raid', 350);
  await show('visible');
  await recovered(page);
});
