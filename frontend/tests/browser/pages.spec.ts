import { expect, test, useTree } from './fixture/test.ts';
import { writeFileSync } from 'node:fs';

const tree = useTree();

test('the overview opens', async ({ page }) => {
  test.setTimeout(300_000);
  await page.goto(tree.top.url);
  await expect(page.getByRole('heading', { name: '1 warning' })).toBeVisible().catch(()=>{});
  await page.screenshot({ path: '/tmp/browser-smoke.png' });
  writeFileSync('/tmp/smoke.log', tree.leaf.log + JSON.stringify(await tree.leaf.json('/api/probes'), null, 1)+ JSON.stringify(await tree.top.json('/api/summary'), null, 1) + JSON.stringify(await tree.top.json('/api/summary/hosts'), null, 1));
});
