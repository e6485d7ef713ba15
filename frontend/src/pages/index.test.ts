// @vitest-environment node
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { expect, it } from 'vitest';
import { pages } from './index';

it('has pages where the server answers with one, and nowhere else', () => {
  const source = readFileSync(resolve(import.meta.dirname, '../../../src/api/page.rs'), 'utf8');
  const list = /const PAGES: [^=]*= \[(.*?)\];/s.exec(source)?.[1] ?? '';
  const served = [...list.matchAll(/"([^"]*)"/g)].map((found) => found[1]);
  const ours = pages.map(({ path }) => path.replace(/:(\w+)/g, '{$1}'));
  expect(ours.toSorted()).toEqual(served.toSorted());
});

it('leads to each page by keys of its own', () => {
  const keys = pages.flatMap(({ nav }) => (nav ? [nav.key] : []));
  expect(new Set(keys).size).toBe(keys.length);
});
