/** Every page: opened by its address and by clicks, back again, on a small screen, in print. */
import { arrived, open, PAGES } from './fixture/pages.ts';
import { expect, test, useTree } from './fixture/test.ts';

const tree = useTree();

for (const one of PAGES) {
  test(`${one.name} opens by its address`, async ({ page }) => {
    await open(page, tree.top.url, one);
    await expect(page).toHaveTitle(/Wigo$/);
    // Nothing is wider than the screen of a telephone either.
    await page.setViewportSize({ width: 390, height: 844 });
    const wider = () =>
      page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      );
    await expect.poll(wider, 'the page must not scroll sideways at 390 px').toBeLessThanOrEqual(0);
  });
}

test('every page of the navigation opens by a click', async ({ page }) => {
  await open(page, tree.top.url, { path: '/', heading: /./ });
  const links = page.getByRole('navigation', { name: 'Pages' }).getByRole('link');
  await expect(links).toHaveCount(16);
  const names = await links.allInnerTexts();
  for (const name of names) {
    const link = page.getByRole('navigation', { name: 'Pages' }).getByRole('link', { name });
    const path = await link.getAttribute('href');
    await link.click();
    await expect(page).toHaveURL(tree.top.url + path);
    const known = PAGES.find((one) => one.path === path);
    await arrived(page, known?.heading ?? 'not known');
    // The wall fills the screen and has no navigation.
    if (path === '/wall') await page.getByRole('link', { name: 'Leave' }).click();
  }
});

test('what is broken leads to the probe, its host, its group and its log', async ({ page }) => {
  await open(page, tree.top.url, { path: '/', heading: '1 warning' });
  const problem = page.getByRole('list', { name: 'Problems' }).getByRole('listitem');
  await expect(problem).toContainText('/srv is 91 % full');
  await problem.getByRole('link', { name: /leaf.*probe filesystems/ }).click();
  await expect(page).toHaveURL(`${tree.top.url}/hosts/leaf/probes/filesystems`);
  await arrived(page, 'filesystems');
  await page.getByRole('link', { name: 'leaf' }).first().click();
  await arrived(page, 'leaf');
  await page.getByRole('link', { name: 'shops' }).first().click();
  await arrived(page, 'shops');
  await page.getByRole('link', { name: 'Log of this group' }).click();
  await arrived(page, 'Logs');
  await expect(page).toHaveURL(/\/logs\?group=shops$/);
  for (const heading of ['shops', 'leaf', 'filesystems', '1 warning']) {
    await page.goBack();
    await arrived(page, heading);
  }
});

test('filters are in the address, and going back restores them', async ({ page }) => {
  await open(page, tree.top.url, { path: '/hosts', heading: 'Hosts' });
  const hosts = page.getByRole('list', { name: 'Hosts' }).getByRole('listitem');
  await expect(hosts).toHaveCount(4);
  await page.getByRole('combobox', { name: 'Level' }).selectOption({ label: 'Warning and worse' });
  await expect(page).toHaveURL(/level=warn/);
  await expect(hosts).toHaveCount(1);
  await page.getByRole('searchbox', { name: 'Group' }).fill('shops');
  await expect(page).toHaveURL(/group=shops/);
  await hosts.getByRole('link', { name: 'leaf' }).click();
  await arrived(page, 'leaf');
  await page.goBack();
  await arrived(page, 'Hosts');
  await expect(page.getByRole('combobox', { name: 'Level' })).toHaveValue('warn');
  await expect(page.getByRole('searchbox', { name: 'Group' })).toHaveValue('shops');
  await expect(hosts).toHaveCount(1);
  await page.goBack();
  await expect(page.getByRole('combobox', { name: 'Level' })).toHaveValue('');
  await expect(hosts).toHaveCount(4);
  // The address alone is enough.
  await open(page, tree.top.url, { path: '/hosts?q=asked&presence=alive', heading: 'Hosts' });
  await expect(hosts).toHaveCount(1);
  await expect(hosts).toContainText('asked');
});

test('a host shows its probes worst first, their details as tables, and what stands below', async ({
  page,
}) => {
  await open(page, tree.top.url, { path: '/hosts/leaf', heading: 'leaf' });
  const probes = page.getByRole('list', { name: 'Probes, worst first' }).getByRole('listitem');
  await expect(probes.first()).toContainText('filesystems');
  await expect(probes.first()).toContainText('Warning');
  await page.getByRole('button', { name: 'What filesystems said' }).click();
  const table = page.getByRole('table');
  await expect(table.getByRole('columnheader')).toHaveText(['Mount', 'Size', 'Used']);
  await expect(table.getByRole('row')).toHaveCount(3);
  await page.getByRole('button', { name: 'Show JSON' }).click();
  await expect(page.getByText('"Mount": "/srv"')).toBeVisible();
  await expect(page.getByRole('region', { name: 'Status over time' })).toContainText('Warning');
  await expect(page.getByText('env')).toBeVisible();

  await open(page, tree.top.url, { path: '/hosts/middle', heading: 'middle' });
  const below = page.getByRole('list', { name: 'Hosts below' }).getByRole('listitem');
  await expect(below).toHaveCount(2);
  await below.getByRole('link', { name: 'asked' }).click();
  await arrived(page, 'asked');
  await expect(
    page.getByText('It is asked at').or(page.getByText('What is above it')),
  ).toBeVisible();
});

test('a nested detail is shown as JSON', async ({ page }) => {
  await open(page, tree.top.url, { path: '/hosts/asked/probes/raid', heading: 'raid' });
  await expect(page.getByText('"raid1"')).toBeVisible();
});

test('the title and the icon carry the worst status', async ({ page }) => {
  await open(page, tree.top.url, { path: '/about', heading: 'About this instance' });
  await expect(page).toHaveTitle(/^Warning · About/);
  await expect(page.locator('link[rel~="icon"]')).toHaveAttribute('href', /./);
});

test('what is not there says so', async ({ page }) => {
  await open(page, tree.top.url, { path: '/', heading: /./ });
  // Within the page, as a link from elsewhere in it would.
  await page.evaluate(() => {
    history.pushState(null, '', '/no/such/page');
    dispatchEvent(new PopStateEvent('popstate'));
  });
  await expect(page.getByText('There is no page at')).toBeVisible();
});

test.describe(() => {
  test.use({ tolerated: /status of 404/ });

  test('a host and a probe that are not there say so', async ({ page }) => {
    await page.goto(`${tree.top.url}/hosts/nobody`);
    await expect(page.getByRole('heading', { name: 'No such host' })).toBeVisible();
    await page.goto(`${tree.top.url}/hosts/leaf/probes/nothing`);
    await expect(page.getByText('There is no probe “nothing” on leaf.')).toBeVisible();
  });
});

test('the log scrolls to its beginning and filters by a click', async ({ page }) => {
  await open(page, tree.top.url, { path: '/logs', heading: 'Logs' });
  await expect(page.getByText('That is the whole log.')).toBeVisible();
  await page.getByRole('link', { name: 'filesystems', exact: true }).first().click();
  await expect(page).toHaveURL(/probe=filesystems/);
  const entries = page.getByRole('list', { name: 'Log' }).getByRole('listitem');
  await expect(entries).toHaveCount(1);
  await expect(entries).toContainText('/srv is 91 % full');
  await page.goBack();
  await expect(entries).not.toHaveCount(1);
});

test('pages print without their controls', async ({ page }) => {
  for (const one of PAGES.filter(({ name }) => name !== 'wall' && name !== 'login')) {
    await open(page, tree.top.url, one);
    await page.emulateMedia({ media: 'print' });
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
    await expect(page.getByRole('navigation', { name: 'Pages' })).toBeHidden();
    await expect(page.getByRole('button', { name: 'You and this page' })).toBeHidden();
    expect((await page.pdf()).length).toBeGreaterThan(1000);
    await page.emulateMedia({ media: null });
  }
});

test('nothing moves for those who do not want it', async ({ page }) => {
  await page.emulateMedia({ reducedMotion: 'reduce' });
  for (const one of PAGES) {
    await open(page, tree.top.url, one);
    const moving = await page.evaluate(
      () =>
        [...document.querySelectorAll('*')].filter((element) => {
          const style = getComputedStyle(element);
          const times = `${style.transitionDuration},${style.animationDuration}`.split(',');
          return times.some((time) => parseFloat(time) > 0.01);
        }).length,
    );
    expect(moving, one.name).toBe(0);
  }
});
