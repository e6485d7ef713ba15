/** What changes at the bottom appears at the top, on pages that are open. */
import type { Locator } from '@playwright/test';
import type { Agent } from './fixture/agent.ts';
import { open } from './fixture/pages.ts';
import { expect, test, useTree } from './fixture/test.ts';

const tree = useTree();

/** When a text was drawn, in milliseconds since 1970; the clock of the page is that of the agents. */
function drawn(within: Locator, text: string): Promise<number> {
  return within.evaluate(
    (element, text) =>
      new Promise<number>((resolve) => {
        const look = () => {
          if (!element.textContent?.includes(text)) return false;
          // The frame after the next one begins when this one has been drawn.
          requestAnimationFrame(() => requestAnimationFrame(() => resolve(Date.now())));
          return true;
        };
        if (look()) return;
        const observer = new MutationObserver(() => look() && observer.disconnect());
        observer.observe(element, { subtree: true, childList: true, characterData: true });
      }),
    text,
  );
}

/** Prints how long a change took from the end of the run to the screen. */
async function timed(
  agent: Agent,
  probe: string,
  text: string,
  seen: Promise<number>,
  where: string,
) {
  const [ended, shown] = [await agent.ended(probe, text), await seen];
  console.log(
    `    from the end of the run to the screen, ${where}: ${Math.round(shown - ended)} ms`,
  );
}

const PLACES = [
  { name: 'the overview', path: '/', heading: /./ },
  { name: 'the wall', path: '/wall', heading: /./ },
  { name: 'its group', path: '/group?name=shops', heading: 'shops' },
  { name: 'its host', path: '/hosts/leaf', heading: 'leaf' },
  { name: 'itself', path: '/hosts/leaf/probes/queue_length', heading: 'queue_length' },
  { name: 'the log', path: '/logs?hostname=leaf', heading: 'Logs' },
];

for (const [index, place] of PLACES.entries()) {
  test(`a probe that turns red appears on ${place.name}, two levels up`, async ({ page }) => {
    await open(page, tree.top.url, place);
    await page.evaluate(() => Object.assign(window, { notLoadedAgain: true }));
    const text = `${9000 + index} messages wait`;
    const seen = drawn(page.locator('main'), text);
    tree.leaf.tell('queue_length', { Status: 300, Message: text });
    await timed(tree.leaf, 'queue_length', text, seen, place.name);
    await expect(page.getByText(text).first()).toBeVisible();
    expect(await page.evaluate(() => 'notLoadedAgain' in window)).toBe(true);
    tree.leaf.tell('queue_length', { Status: 100, Message: '3 messages wait' });
    await tree.shows('leaf', 'queue_length', 100);
  });
}

test('counts, title and what is broken follow', async ({ page }) => {
  await open(page, tree.top.url, { path: '/', heading: '1 warning' });
  const problems = page.getByRole('list', { name: 'Problems' }).getByRole('listitem');
  await expect(problems).toHaveCount(1);
  tree.asked.tell('raid', { Status: 350, Message: 'sdb has left md0' });
  await expect(page.getByRole('heading', { level: 1, name: '1 probe critical' })).toBeVisible();
  await expect(problems).toHaveCount(2);
  await expect(problems.first()).toContainText('sdb has left md0');
  await expect(page).toHaveTitle(/^Critical/);
  tree.asked.tell('raid', { Status: 100, Message: 'all disks are in place' });
  await expect(page.getByRole('heading', { level: 1, name: '1 warning' })).toBeVisible();
  await expect(problems).toHaveCount(1);
});

test('a new probe appears on the page of its host, and goes with its file', async ({ page }) => {
  await open(page, tree.top.url, { path: '/hosts/leaf', heading: 'leaf' });
  const row = page.getByRole('link', { name: 'newcomer' });
  await expect(row).toHaveCount(0);
  tree.leaf.puppet('newcomer', { Status: 100, Message: 'I am new' });
  await expect(row.first()).toBeVisible();
  tree.leaf.removeProbe('newcomer');
  await expect(page.getByRole('list', { name: 'Probes, worst first' })).not.toContainText(
    'newcomer',
  );
});

test('a host that stops is shown so, and comes back', async ({ page }) => {
  await open(page, tree.top.url, { path: '/hosts?sort=name', heading: 'Hosts' });
  const row = page
    .getByRole('list', { name: 'Hosts' })
    .getByRole('listitem')
    .filter({ hasText: 'leaf' });
  await expect(row).toContainText('Warning');
  await tree.leaf.stop();
  await expect(row).toContainText('Stopped');
  await tree.leaf.start();
  await expect(row).toContainText('Warning');
});
