/**
 * What the pages cost in a real browser: `node bench/page.mjs http://127.0.0.1:4000/ 60`.
 *
 * Prints lines like those of `cargo bench --bench fleet -- page 2000`, which starts a large fleet and then
 * this. Nothing fails for being slow: the figures are for people.
 */
import { chromium } from 'playwright-core';

const [base = '', seconds = '60'] = process.argv.slice(2);
const AIM = { paint: '1 s', input: '100 ms' };
/** Rows that a long list is made of before it is used. */
const LONG = 2_000;
/** The least that the browser tells of, in milliseconds. */
const QUICKEST = 16;
/** How often each interaction is done. */
const TIMES = 5;

function line(what, value, aim = '') {
  console.log(`  ${what.padEnd(58)} ${value.padStart(16)}${aim && `  (aim: ${aim})`}`);
}
const kib = (bytes) => `${(bytes / 1024).toFixed(1)} KiB`;
const mib = (bytes) => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
const milliseconds = (value) => `${Math.round(value)} ms`;
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) / 2)];

/** Runs in the page before anything else: notes what the browser measures. */
function watch() {
  const seen = { tasks: [], events: [], shown: 0 };
  Object.assign(window, { seen });
  // Something of the problems, or the word that there are none.
  const problems = '[aria-labelledby=problems] :is(li, h3, p)';
  const look = new MutationObserver(() => {
    if (seen.shown > 0 || !document.querySelector(problems)) return;
    requestAnimationFrame(() => (seen.shown ||= performance.now()));
    look.disconnect();
  });
  look.observe(document, { childList: true, subtree: true });
  const note = (type, to, options) =>
    new PerformanceObserver((list) => to.push(...list.getEntries())).observe({ type, ...options });
  note('longtask', seen.tasks, { buffered: true });
  note('event', seen.events, { durationThreshold: 16, buffered: true });
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
});
const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
const page = await context.newPage();
await page.addInitScript(watch);
const cdp = await context.newCDPSession(page);
await cdp.send('Network.enable');

/** What came over the wire: in all, and by event streams. */
const wire = { requests: 0, bytes: 0, stream: 0, events: 0 };
const streams = new Set();
cdp.on('Network.requestWillBeSent', ({ type, requestId }) => {
  wire.requests += 1;
  if (type === 'EventSource') streams.add(requestId);
});
cdp.on('Network.dataReceived', ({ requestId, dataLength, encodedDataLength }) => {
  if (streams.has(requestId)) wire.stream += encodedDataLength || dataLength;
});
cdp.on('Network.eventSourceMessageReceived', () => (wire.events += 1));
cdp.on('Network.loadingFinished', ({ requestId, encodedDataLength }) => {
  if (!streams.has(requestId)) wire.bytes += encodedDataLength;
});

const heap = async () => {
  await cdp.send('HeapProfiler.collectGarbage');
  return (await cdp.send('Runtime.getHeapUsage')).usedSize;
};
const pause = (time) => page.waitForTimeout(time);

async function coldLoad() {
  await page.goto(base, { waitUntil: 'commit' });
  await page.waitForFunction(() => window.seen.shown > 0);
  const [painted, shown] = await page.evaluate(() => [
    performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? NaN,
    window.seen.shown,
  ]);
  line('cold load: first contentful paint', milliseconds(painted), AIM.paint);
  line('cold load: the problems are shown after', milliseconds(shown), AIM.paint);
  await pause(1_000);
  const { requests, bytes, stream } = wire;
  line('cold load: requests, and bytes transferred', `${requests}, ${kib(bytes + stream)}`);
}

/** The page as it is open all day, while the fleet changes. */
async function live(of) {
  const before = { ...wire };
  const [heapBefore] = [await heap(), await page.evaluate(() => (window.seen.tasks.length = 0))];
  await pause(of * 1000);
  const tasks = await page.evaluate(() => window.seen.tasks.map((task) => task.duration));
  const heapAfter = await heap();
  const each = (name) => (wire[name] - before[name]) / of;
  line(`live for ${of} s: the stream, events a second`, each('events').toFixed(1));
  line(`live for ${of} s: the stream, bytes a second`, kib(each('stream')));
  line(`live for ${of} s: other requests a second`, each('requests').toFixed(2));
  const all = tasks.reduce((sum, task) => sum + task, 0);
  const text = `${tasks.length}, ${milliseconds(Math.max(0, ...tasks))}, ${milliseconds(all)}`;
  line(`live for ${of} s: long tasks, the longest, all of them`, text);
  line(`live for ${of} s: JS heap before and after`, `${mib(heapBefore)} ${mib(heapAfter)}`);
}

/**
 * Does something some times: `before` is not measured, `act` is what a person does, `until` waits for what
 * they want to see. How long the page took to react is what the browser says (Event Timing).
 */
async function interact(what, names, { before = () => {}, act, until }) {
  const reactions = [];
  const arrivals = [];
  for (let n = 0; n < TIMES; n += 1) {
    await before(n);
    await page.evaluate(() => (window.seen.events.length = 0));
    await act(n);
    const acted = performance.now();
    if (until) {
      await until(n);
      arrivals.push(performance.now() - acted);
    }
    await pause(400);
    const all = await page.evaluate(() =>
      window.seen.events.map(({ name, duration }) => ({ name, duration })),
    );
    // What is too quick to be told of counts as the least that is told.
    const durations = all.filter((one) => names.includes(one.name)).map((one) => one.duration);
    reactions.push(Math.max(QUICKEST, ...durations));
  }
  const text = `${milliseconds(median(reactions))} ${milliseconds(Math.max(...reactions))}`;
  line(`${what}: median, worst`, text, AIM.input);
  if (!arrivals.length) return;
  const there = `${milliseconds(median(arrivals))} ${milliseconds(Math.max(...arrivals))}`;
  line(`${what}: all there after`, there);
}
const KEYS = ['keydown', 'keypress', 'keyup', 'beforeinput', 'input'];
const CLICKS = ['pointerdown', 'pointerup', 'click', 'change', 'input'];

await coldLoad();
await live(Number(seconds));

async function go(path) {
  await page.goto(new URL(path, base).href);
  await page.waitForSelector('[data-row]');
  await pause(1_000);
}
const filtered = (name, value) =>
  page.waitForFunction(
    ([name, value]) => new URLSearchParams(location.search).get(name) === value,
    [name, value],
    { polling: 20 },
  );
const rows = page.locator('[data-row]');
const arrived = page.locator('h1');

await go('/hosts');
/** Of a host, of which the first letters are those of most others, so that the list stays long. */
const name = (await rows.first().innerText()).trim();
const part = name.slice(0, 6);
const search = page.locator('[data-search]');
await interact('typing into the filter of the hosts', KEYS, {
  async before() {
    await search.fill('');
    await pause(800);
    await search.focus();
  },
  act: () => page.keyboard.type(part, { delay: 30 }),
  async until() {
    await filtered('q', part);
    await rows.first().waitFor();
  },
});
await interact('opening a host by Ctrl-K', KEYS, {
  async before() {
    if (!page.url().endsWith('/hosts')) await go('/hosts');
  },
  async act() {
    await page.keyboard.press('Control+k');
    await page.locator('dialog input').waitFor();
    await page.keyboard.type(name, { delay: 30 });
    await page.keyboard.press('Enter');
  },
  async until() {
    await page.waitForURL(/\/hosts\/./, { waitUntil: 'commit' });
    await arrived.filter({ hasText: name }).waitFor();
  },
});

await go('/hosts');
const total = Number(
  /([\d.,]+) hosts?/.exec(await page.locator('main').innerText())?.[1]?.replace(/\D/g, '') ?? 0,
);
for (let shown = await rows.count(); shown < Math.min(LONG, total); shown = await rows.count()) {
  await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
  await page.waitForFunction((n) => document.querySelectorAll('[data-row]').length > n, shown);
}
const long = await rows.count();
line('the list of hosts is made as long as', `${long} rows`);
await page.evaluate(() => scrollTo(0, 0));
await interact('j down the long list', KEYS, {
  async act() {
    for (let n = 0; n < 10; n += 1) await page.keyboard.press('j');
  },
});
await interact('a host out of the long list', CLICKS, {
  async before(n) {
    if (n > 0) {
      await page.evaluate(() => history.back());
      await rows.first().waitFor();
      await pause(800);
    }
  },
  act: (n) => rows.nth(n % long).click(),
  until: () => page.waitForURL(/\/hosts\/./, { waitUntil: 'commit' }),
});
await interact('back to the list', [...KEYS, 'popstate'], {
  async before() {
    if (page.url().endsWith('/hosts')) {
      await rows.first().click();
      await page.waitForURL(/\/hosts\/./, { waitUntil: 'commit' });
      await pause(500);
    }
  },
  act: () => page.evaluate(() => history.back()),
  async until() {
    await page.waitForURL(/\/hosts$/, { waitUntil: 'commit' });
    await rows.first().waitFor();
  },
});
const order = page.getByLabel('Order');
await interact('sorting the hosts', [...KEYS, ...CLICKS], {
  before: () => order.focus(),
  act: (n) => page.keyboard.press(n % 2 === 0 ? 'ArrowDown' : 'ArrowUp'),
  async until(n) {
    await filtered('sort', n % 2 === 0 ? 'name' : null);
    await rows.first().waitFor();
  },
});
line('JS heap after all of that', mib(await heap()));
await browser.close();
