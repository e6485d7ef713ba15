/** What others wrote is text on every page, whatever it says and wherever it stands. */
import type { Page } from '@playwright/test';
import { Agent } from './fixture/agent.ts';
import { arrived, open } from './fixture/pages.ts';
import { asName, PAYLOADS } from './fixture/payloads.ts';
import { expect, test, useTree } from './fixture/test.ts';

/** Once a day: each runs when the agent starts, and then is left alone. */
const RARELY = 86_400;
const HOST = '"><img src=x onerror=window.owned=101>\u202etsoh';
const GROUP = "'><svg onload=window.owned=102> & \u202epuorg";
const KEY = '<script>window.owned=103</script>';
const REASON = '"><img src=x onerror=window.owned=104>\u202enosaer';
const LONG = '<b onclick=window.owned=105>long</b> '.repeat(2_800);

// Labels that cannot be are refused.
test.use({ tolerated: /status of 400 .*labels=/ });

const tree = useTree(async (tree) => {
  // The leaf is replaced by one whose every name is hostile.
  const { leaf } = tree;
  tree.leaf = await Agent.make(HOST, GROUP);
  await leaf.remove();
  tree.leaf.set('PushClient', 'AllowRemoteControl', true).set('Labels', 'env', 'prod');
  for (const payload of PAYLOADS) {
    const Detail = [{ [payload]: payload, 'second column': 1 }];
    tree.leaf.puppet(asName(payload), { Status: 300, Message: payload, Detail }, RARELY);
  }
  tree.leaf
    .puppet('nested', { Status: 110, Message: 'x', Detail: { [KEY]: { [REASON]: [KEY] } } }, RARELY)
    .puppet('long', { Status: 400, Message: LONG, Detail: { text: LONG.slice(0, 50_000) } }, RARELY)
    .puppet('off', { Status: 100, Message: 'to be switched off' }, RARELY);
});

test.beforeAll(async () => {
  const path = `/api/hosts/${tree.leaf.uuid}/probes/off/disable?reason=${encodeURIComponent(REASON)}`;
  const done = await tree.top.post(path);
  expect(done.status, await done.text()).toBe(200);
});

/** Fails if anything in the document is not of our making, or text from elsewhere could turn other text round. */
async function isClean(page: Page) {
  const faults = await page.evaluate(() => {
    const faults: string[] = [];
    const source = (element: Node) => new XMLSerializer().serializeToString(element).slice(0, 200);
    const foreign =
      'script:not([src^="/assets/"]), style, base, iframe, object, embed, math, marquee, audio, video, ' +
      'img:not([src="/favicon.svg"]), template, meta[http-equiv], ' +
      'form[action], [srcdoc], [href^="javascript:" i], [href^="data:" i]:not(link), [action^="javascript:" i]';
    for (const element of document.querySelectorAll(foreign)) faults.push(source(element));
    for (const element of document.querySelectorAll('*')) {
      for (const { name } of element.attributes)
        if (name.startsWith('on')) faults.push(`${element.tagName} has ${name}`);
    }
    for (const link of document.querySelectorAll('link')) {
      const { origin, protocol } = new URL(link.href);
      if (origin !== location.origin && protocol !== 'data:') faults.push(source(link));
    }
    if ('owned' in window) faults.push(`script ran: ${String(window.owned)}`);
    const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let text = texts.nextNode(); text; text = texts.nextNode()) {
      if (!/[\u202a-\u202e\u2066-\u2069]/.test(text.textContent ?? '')) continue;
      const parent = text.parentElement;
      const isolated = parent && /isolate|plaintext/.test(getComputedStyle(parent).unicodeBidi);
      const hidden = parent?.closest('option, .visually-hidden, title, textarea');
      if (!isolated && !hidden) faults.push(`not isolated: ${parent && source(parent)}`);
    }
    return faults;
  });
  expect(faults).toEqual([]);
}

const hostPath = () => `/hosts/${tree.leaf.uuid}`;
const probePath = (name: string) => `${hostPath()}/probes/${encodeURIComponent(name)}`;

test('on the overview, in its filters, and on the wall', async ({ page }) => {
  await open(page, tree.top.url, { path: '/?all=1', heading: /critical/ });
  const problems = page.getByRole('list', { name: 'Problems' });
  for (const payload of PAYLOADS) await expect(problems).toContainText(payload.trim());
  await expect(problems).toContainText(HOST);
  await isClean(page);
  await open(page, tree.top.url, {
    path: `/?q=${encodeURIComponent(PAYLOADS[2] ?? '')}`,
    heading: /critical/,
  });
  await expect(problems.getByRole('listitem')).toHaveCount(1);
  await isClean(page);
  await open(page, tree.top.url, { path: '/wall', heading: /critical/ });
  await expect(page.getByRole('list', { name: 'Problems' })).toContainText(HOST);
  await isClean(page);
});

test('on the page of the host, with every detail unfolded', async ({ page }) => {
  await open(page, tree.top.url, { path: hostPath(), heading: HOST });
  await expect(page).toHaveTitle(new RegExp('onerror'));
  const probes = page.getByRole('list', { name: 'Probes, worst first' });
  await expect(probes.getByRole('listitem')).toHaveCount(PAYLOADS.length + 3);
  for (const payload of PAYLOADS) await expect(probes).toContainText(asName(payload).trim());
  const unfold = page.getByRole('button', { name: /^What .* said$/s });
  for (const button of await unfold.all()) await button.click();
  const tables = () => page.getByRole('table').count();
  await expect.poll(tables).toBeGreaterThanOrEqual(PAYLOADS.length);
  await expect(page.getByText(KEY).first()).toBeVisible();
  await isClean(page);
});

test('on the page of each probe, by its address', async ({ page }) => {
  await open(page, tree.top.url, { path: probePath('nested'), heading: 'nested' });
  for (const payload of PAYLOADS) {
    const name = asName(payload);
    // As a link in the page would: the page is not loaded anew for each.
    await page.evaluate((path) => {
      history.pushState(null, '', path);
      dispatchEvent(new PopStateEvent('popstate'));
    }, probePath(name));
    const heading = page.getByRole('heading', { level: 1 });
    await expect(heading).toHaveText(name.trim());
    const said = page.getByRole('region', { name: 'What it says' });
    const column = said.getByRole('columnheader').filter({ hasText: payload.trim() });
    await expect(column).toHaveCount(1);
    await expect(said).toContainText(payload.trim());
    await isClean(page);
  }
});

test('a nested detail as JSON', async ({ page }) => {
  await open(page, tree.top.url, { path: probePath('nested'), heading: 'nested' });
  await expect(page.getByRole('region', { name: 'What it says' })).toContainText(
    'onerror=window.owned=104',
  );
  await isClean(page);
});

test('100 kB are cut, and can be unfolded', async ({ page }) => {
  await open(page, tree.top.url, { path: probePath('long'), heading: 'long' });
  const said = page.getByRole('region', { name: 'What it says' });
  await expect(said).toContainText('<b onclick=window.owned=105>long</b>');
  const unfold = said.getByRole('button', { name: /^Show all/ });
  await expect(unfold.first()).toBeVisible();
  while (await unfold.count()) await unfold.first().click();
  await isClean(page);
  for (const path of [hostPath(), '/', '/wall', '/logs', probePath('long')]) {
    await page.setViewportSize({ width: 390, height: 844 });
    await page.goto(tree.top.url + path);
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
    await expect(page.getByText('Loading…')).toHaveCount(0);
    const wider = () =>
      page.evaluate(
        () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
      );
    await expect.poll(wider, `${path} must not scroll sideways`).toBeLessThanOrEqual(0);
    const height = await page.evaluate(() => document.documentElement.scrollHeight);
    expect(height, `${path} must not grow with one message`).toBeLessThan(60_000);
  }
});

test('in the group, the hosts and the log', async ({ page }) => {
  const group = encodeURIComponent(GROUP);
  await open(page, tree.top.url, { path: `/group?name=${group}`, heading: GROUP });
  await expect(page.getByRole('list', { name: 'Hosts' })).toContainText(HOST);
  await isClean(page);
  await open(page, tree.top.url, { path: '/hosts', heading: 'Hosts' });
  await page
    .getByRole('list', { name: 'Hosts' })
    .getByRole('link', { name: 'onerror=window.owned=101' })
    .click();
  await arrived(page, HOST);
  await open(page, tree.top.url, {
    path: `/hosts?labels=${encodeURIComponent('env=prod')}`,
    heading: 'Hosts',
  });
  await expect(page.getByRole('list', { name: 'Hosts' }).getByRole('listitem')).toHaveCount(1);
  await isClean(page);
  await open(page, tree.top.url, { path: `/logs?group=${group}`, heading: 'Logs' });
  await expect(page.getByText('That is all that matches.')).toBeVisible();
  const log = page.getByRole('list', { name: 'Log' });
  for (const payload of PAYLOADS) await expect(log).toContainText(payload.trim());
  await isClean(page);
});

test('in what was switched off, in the audit and in the authority', async ({ page }) => {
  await open(page, tree.top.url, { path: '/disabled', heading: 'Disabled probes' });
  await expect(page.getByRole('list', { name: 'Disabled probes' })).toContainText(REASON);
  await isClean(page);
  await page.getByRole('button', { name: /^Enable off on/ }).click();
  await expect(page.getByRole('dialog')).toBeVisible();
  await isClean(page);
  await page.keyboard.press('Escape');
  await open(page, tree.top.url, { path: '/audit', heading: 'Audit' });
  await expect(page.getByRole('list', { name: 'Changes' })).toContainText(
    'onerror=window.owned=104',
  );
  await isClean(page);
  // The middle is who let the hostile client in.
  await open(page, tree.middle.url, { path: '/authority', heading: 'Authority' });
  await expect(page.getByRole('list', { name: 'Allowed clients' })).toContainText(
    'onerror=window.owned=101',
  );
  await page.getByRole('button', { name: /^Revoke .*owned=101/s }).click();
  await expect(page.getByRole('dialog')).toBeVisible();
  await isClean(page);
});

test('in the search', async ({ page }) => {
  await open(page, tree.top.url, { path: '/', heading: /./ });
  await page.keyboard.press('Control+k');
  await page.keyboard.type('onerror');
  await expect(page.getByRole('option', { name: /owned=101/ }).first()).toBeVisible();
  await isClean(page);
  await page
    .getByRole('option', { name: /owned=101/ })
    .first()
    .click();
  await expect(page.getByRole('heading', { level: 1 })).toContainText('onerror');
});

test('in addresses that somebody made up', async ({ page }) => {
  const places = [
    (text: string) => `/?q=${text}&group=${text}&labels=${text}`,
    (text: string) => `/logs?q=${text}&probe=${text}`,
    (text: string) => `/group?name=${text}`,
  ];
  // The places take turns: one load of a page for each payload.
  for (const [index, payload] of PAYLOADS.entries()) {
    const place = places[index % places.length];
    await page.goto(tree.top.url + place?.(encodeURIComponent(payload)));
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
    await isClean(page);
  }
  for (const next of [
    'https://evil.example/',
    '//evil.example/',
    '/\\evil.example',
    'javascript:window.owned=1',
    '/api/logout',
  ]) {
    await page.goto(
      `${tree.top.url}/login?next=${encodeURIComponent(next)}&error=${encodeURIComponent(HOST)}`,
    );
    await expect(page.getByRole('heading', { level: 1 })).toBeVisible();
    await isClean(page);
    const outside = await page.evaluate(
      () =>
        [...document.querySelectorAll('a')].filter(
          (link) => new URL(link.href).origin !== location.origin,
        ).length,
    );
    expect(outside).toBe(0);
  }
});
