/**
 * The pages in a real browser, served by the real program, watching real probes in a tree of three levels.
 *
 * `$CHROMIUM` is the browser (Debian's by default), `$WIGO_BIN_DIR` the folder with the programs.
 */
import { defineConfig } from '@playwright/test';
import { project } from './fixture/places.ts';

/** Milliseconds. Generous: nothing here asserts how long something took. */
const [TEST, CONDITION] = [240_000, 60_000];

export default defineConfig({
  testDir: '.',
  outputDir: project('target/browser-tests'),
  reporter: [['list'], ['./fixture/counts.ts']],
  timeout: TEST,
  expect: { timeout: CONDITION },
  retries: 0,
  workers: 1,
  forbidOnly: true,
  use: {
    browserName: 'chromium',
    actionTimeout: CONDITION,
    navigationTimeout: CONDITION,
    viewport: { width: 1440, height: 900 },
    locale: 'en-GB',
    timezoneId: 'UTC',
    screenshot: 'only-on-failure',
    launchOptions: {
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
    },
  },
});
