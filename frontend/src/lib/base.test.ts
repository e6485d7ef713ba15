import { beforeEach, expect, test, vi } from 'vitest';

beforeEach(() => {
  vi.resetModules();
  const meta = document.createElement('meta');
  [meta.name, meta.content] = ['base-path', '/wigo'];
  document.head.replaceChildren(meta);
});

test('a path of ours is put below the base path and found there again', async () => {
  const { href, ours } = await import('./base');
  expect(href('/hosts?q=a')).toBe('/wigo/hosts?q=a');
  expect(ours('/wigo/hosts/a%2Fb')).toBe('/hosts/a%2Fb');
  expect(ours('/wigo')).toBe('/');
  expect(ours('/wigo/')).toBe('/');
  // A proxy has cut it off, or it is something else.
  expect(ours('/hosts')).toBe('/hosts');
  expect(ours('/wigox')).toBe('/wigox');
});

test('links and questions are below it, and the page is found by its own path', async () => {
  history.replaceState(null, '', '/wigo/hosts/web1?q=a');
  const { links, router } = await import('./router.svelte');
  const { address } = await import('./api');
  expect(router.path).toBe('/hosts/web1');
  expect(links.probe('web1', 'a/b')).toBe('/wigo/hosts/web1/probes/a%2Fb');
  expect(links.logs({ q: 'x' })).toBe('/wigo/logs?q=x');
  expect(address('/api/events', { scope: 'none' })).toBe('/wigo/api/events?scope=none');
  router.filter({ q: 'b' });
  expect(location.pathname + location.search).toBe('/wigo/hosts/web1?q=b');
});

test('without one nothing is put before a path', async () => {
  document.head.replaceChildren();
  const { href, ours } = await import('./base');
  expect(href('/hosts')).toBe('/hosts');
  expect(ours('/hosts')).toBe('/hosts');
});
