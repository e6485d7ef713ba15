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
  const seen = { tasks: [], events: [] };
  Object.assign(window, { seen });
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
  // What is asked is when something of the problems is shown, or that there are none.
  await page.waitForSelector('[aria-labelledby=problems] :is(li, h3, p)');
  const shown = await page.evaluate(() => performance.now());
  const painted = await page.evaluate(async () => {
    for (;;) {
      const [paint] = performance.getEntriesByName('first-contentful-paint');
      if (paint) return paint.startTime;
      await new Promise((done) => setTimeout(done, 10));
    }
  });
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

/** Does something some times; `act` may return what is to be waited for outside of the measurement. */
async function interact(what, act, wanted) {
  const durations = [];
  const arrived = [];
  for (let n = 0; n < TIMES; n += 1) {
    await page.evaluate(() => {
      performance.clearMarks();
      window.seen.events.length = 0;
    });
    const started = performance.now();
    const done = await act(n);
    if (done) {
      await done();
      arrived.push(performance.now() - started);
    }
    await pause(400);
    // Events too quick to be told of count as the least that is told.
    durations.push(
      await page.evaluate(
        (names) =>
          Math.max(
            16,
            ...window.seen.events
              .filter((event) => names.includes(event.name))
              .map((event) => event.duration),
          ),
        wanted,
      ),
    );
  }
  const text = `${milliseconds(median(durations))}, ${milliseconds(Math.max(...durations))}`;
  line(`${what}: median, worst`, text, AIM.input);
  if (arrived.length) line(`${what}: there after (median)`, milliseconds(median(arrived)));
}
const KEYS = ['keydown', 'keypress', 'keyup', 'beforeinput', 'input'];
const CLICKS = ['pointerdown', 'pointerup', 'click', 'change', 'input'];

await coldLoad();
await live(Number(seconds));

const go = async (path) => {
  await page.goto(new URL(path, base).href);
  await page.waitForSelector('[data-row]');
  await pause(1_000);
};

await go('/hosts');
/** A part of the names that most hosts have, so that the list stays long. */
const name = (await page.locator('[data-row]').first().innerText()).trim();
const search = page.locator('[data-search]');
await interact(
  'typing into the filter of the hosts',
  async (n) => {
    await search.fill('');
    await pause(600);
    await search.focus();
    for (const key of name.slice(0, 6)) await page.keyboard.press(key, { delay: 30 });
    return () =>
      page.waitForFunction(
        (q) => new URLSearchParams(location.search).get('q') === q,
        name.slice(0, 6),
        { polling: 20 },
      );
  },
  KEYS,
);
await search.fill('');
await pause(800);
await interact(
  'opening a host by Ctrl-K',
  async () => {
    await page.keyboard.press('Control+k');
    const field = page.locator('dialog input');
    await field.waitFor();
    await page.keyboard.type(name, { delay: 30 });
    await page.keyboard.press('Enter');
    return async () => {
      await page.waitForURL(/\/hosts\/./);
      await page.waitForSelector(`h1:has-text(${JSON.stringify(name)})`);
    };
  },
  KEYS,
);

await go('/hosts');
const total = Number((await page.locator('main').innerText()).match(/([\d,.]+) hosts?/)?.[1]?.replace(/\D/g, '') ?? 0);
const rows = () => page.locator('[data-row]').count();
const asMany = Math.min(LONG, total);
while ((await rows()) < asMany) {
  const before = await rows();
  await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
  await page.waitForFunction((n) => document.querySelectorAll('[data-row]').length > n, before);
}
line('the list of hosts is made as long as', `${await rows()} rows`);
await interact(
  'j through the long list',
  async () => {
    for (let n = 0; n < 10; n += 1) await page.keyboard.press('j');
  },
  KEYS,
);
await interact(
  'going to a host from the long list, and back',
  async (n) => {
    await page.locator('[data-row]').nth(n).click();
    await page.waitForURL(/\/hosts\/./);
    await page.waitForSelector('h1');
    await page.evaluate(() => history.back());
    return () => page.waitForSelector('[data-row]');
  },
  [...CLICKS, ...KEYS],
);
await go('/hosts');
const order = page.locator('select').last();
await interact(
  'sorting the hosts',
  async (n) => {
    await order.focus();
    await page.keyboard.press(n % 2 === 0 ? 'ArrowDown' : 'ArrowUp');
    return () =>
      page.waitForFunction(
        (sorted) => new URLSearchParams(location.search).has('sort') === sorted,
        n % 2 === 0,
        { polling: 20 },
      );
  },
  [...KEYS, ...CLICKS],
);
line('JS heap after all of that', mib(await heap()));
await browser.close();
