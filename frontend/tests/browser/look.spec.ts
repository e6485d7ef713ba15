/** What each page looks like, light and dark, wide and narrow: for machines (axe) and for people (pictures). */
import AxeBuilder from '@axe-core/playwright';
import { join } from 'node:path';
import { open, PAGES } from './fixture/pages.ts';
import { project } from './fixture/places.ts';
import { expect, test, useTree } from './fixture/test.ts';

/** Success criteria of WCAG 2.2, levels A and AA. */
const RULES = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];
const PICTURES = project('target/screenshots');

const tree = useTree((tree) => {
  tree.leaf
    .puppet('certificate', {
      Status: 350,
      Message: 'the certificate of shop.example.org ends in 2 days',
    })
    .puppet('replication', { Status: 500, Message: 'cannot connect to db2: connection refused' })
    .puppet('updates', { Status: 110, Message: '14 packages can be updated' })
    .puppet('idle', { Status: 100, Message: 'nothing to do' });
});

test.beforeAll(async () => {
  const reason = encodeURIComponent('the robot is being moved');
  const done = await tree.top.post(`/api/hosts/leaf/probes/idle/disable?reason=${reason}&for=4h`);
  expect(done.status, await done.text()).toBe(200);
});

for (const colorScheme of ['light', 'dark'] as const) {
  test.describe(colorScheme, () => {
    test.use({ colorScheme });
    for (const one of PAGES) {
      test(`${one.name} has no fault that axe finds`, async ({ page }) => {
        await open(page, tree.top.url, one);
        for (const [width, height] of [
          [1440, 900],
          [390, 844],
        ] as const) {
          await page.setViewportSize({ width, height });
          const file = join(PICTURES, `${one.name}-${width}-${colorScheme}.png`);
          await page.screenshot({
            path: file,
            fullPage: one.name !== 'wall',
            animations: 'disabled',
          });
          const { violations } = await new AxeBuilder({ page }).withTags(RULES).analyze();
          const found = violations.map(({ id, help, nodes }) => ({
            rule: `${id}: ${help}`,
            where: nodes.slice(0, 5).map((node) => `${node.html} ${node.failureSummary}`),
          }));
          expect(found, `${one.name} at ${width} px`).toEqual([]);
        }
      });
    }

    test('dialogs, menus and the search have no fault that axe finds', async ({ page }) => {
      const check = async (name: string) => {
        await page.screenshot({
          path: join(PICTURES, `${name}-1440-${colorScheme}.png`),
          animations: 'disabled',
        });
        const { violations } = await new AxeBuilder({ page }).withTags(RULES).analyze();
        expect(
          violations.map(({ id, nodes }) => `${id}: ${nodes[0]?.html}`),
          name,
        ).toEqual([]);
      };
      await open(page, tree.top.url, {
        path: '/hosts/leaf/probes/certificate',
        heading: 'certificate',
      });
      await page.getByRole('button', { name: 'Disable' }).click();
      await expect(page.getByRole('dialog')).toBeVisible();
      await check('dialog');
      await page.keyboard.press('Escape');
      await page.getByRole('button', { name: 'You and this page' }).click();
      await expect(page.getByRole('group', { name: 'Colours' })).toBeVisible();
      await check('menu');
      await page.keyboard.press('Escape');
      await page.keyboard.press('Control+k');
      await page.keyboard.type('leaf');
      await expect(page.getByRole('option', { name: /leaf/ }).first()).toBeVisible();
      await check('search');
      await page.keyboard.press('Escape');
      await page.keyboard.press('?');
      await expect(page.getByRole('dialog', { name: 'Keys' })).toBeVisible();
      await check('keys');
    });
  });
}

test('the chosen colours stay', async ({ page }) => {
  await open(page, tree.top.url, { path: '/', heading: /./ });
  const back = () =>
    page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const light = await back();
  await page.getByRole('button', { name: 'You and this page' }).click();
  await page.getByRole('radio', { name: 'Dark' }).check({ force: true });
  await expect.poll(back).not.toBe(light);
  const dark = await back();
  await page.reload();
  await expect.poll(back).toBe(dark);
});
