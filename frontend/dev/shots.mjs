/**
 * Pictures of pages, to look at: `node dev/shots.mjs http://127.0.0.1:4173 OUT overview=/ host=/hosts/control`.
 * With `LOGIN=name:password` as somebody. Each in 1440 and 390 pixels, light and dark; what the browser complains about is printed.
 */
import { chromium } from 'playwright-core';

const [base = '', out = 'shots', ...pages] = process.argv.slice(2);
const widths = (process.env.WIDTHS ?? '1440,390').split(',').map(Number);
const themes = (process.env.THEMES ?? 'light,dark').split(',');

const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
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
for (const theme of themes) {
  for (const width of widths) {
    const context = await browser.newContext({
      viewport: { width, height: width < 500 ? 844 : Math.round(width * 0.625) },
      colorScheme: theme,
      reducedMotion: 'reduce',
    });
    const page = await context.newPage();
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) console.log(message.text());
    });
    page.on('pageerror', (error) => console.log(String(error)));
    if (process.env.LOGIN) {
      const [Name, Password] = process.env.LOGIN.split(':');
      const headers = { 'X-Wigo-Request': '1' };
      await context.request.post(`${base}/api/session`, { headers, data: { Name, Password } });
    }
    for (const one of pages) {
      const [name, path] = [one.slice(0, one.indexOf('=')), one.slice(one.indexOf('=') + 1)];
      await page.goto(base + path);
      await page.waitForSelector('h1, [role=alert]', { timeout: 10_000 }).catch(() => {});
      await page.waitForTimeout(Number(process.env.WAIT ?? 600));
      const wide = await page.evaluate(
        () => document.documentElement.scrollWidth > document.documentElement.clientWidth,
      );
      if (wide) console.log(`${name} is wider than ${width} pixels`);
      await page.screenshot({
        path: `${out}/${name}-${width}-${theme}.png`,
        fullPage: process.env.FULL === '1',
      });
    }
    await context.close();
  }
}
await browser.close();
