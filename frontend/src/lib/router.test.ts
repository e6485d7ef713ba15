import { expect, it, vi } from 'vitest';
import { followLinks, links, match, router, safeNext, withFilters } from './router.svelte';

vi.stubGlobal('scrollTo', vi.fn());

it('finds what stands for a name, whatever is in it', () => {
  const name = 'a/b?c#d "><img> %2e ü';
  const path = new URL(links.probe('web', name), 'http://x').pathname;
  expect(match('/hosts/:host/probes/:probe', path)).toEqual({ host: 'web', probe: name });
});

it('does not take another path for it', () => {
  expect(match('/hosts/:host', '/hosts')).toBeNull();
  expect(match('/hosts/:host', '/hosts/a/b')).toBeNull();
  expect(match('/hosts/:host', '/hosts/%zz')).toBeNull();
  expect(match('/', '/')).toEqual({});
});

it('changes some filters and leaves the others', () => {
  const query = new URLSearchParams('q=a&level=warn');
  expect(withFilters('/logs', query, { level: '', group: 'x y' })).toBe('/logs?q=a&group=x+y');
  expect(withFilters('/', query, { q: null, level: undefined })).toBe('/');
});

it('the address holds the filters, and back undoes them', () => {
  router.go('/logs');
  router.filter({ q: 'disk' });
  expect(location.search).toBe('?q=disk');
  expect(router.query.get('q')).toBe('disk');
});

it.each([
  ['/hosts/a?span=7d', '/hosts/a?span=7d'],
  ['//evil.example', '/'],
  ['/\\evil.example', '/'],
  ['https://evil.example', '/'],
  ['javascript:alert(1)', '/'],
  ['/login?next=/', '/'],
  [null, '/'],
])('after the login, %s leads to %s', (next, to) => {
  expect(safeNext(next)).toBe(to);
});

it('plain links are followed here; those of the API and of others are the browser’s', () => {
  const end = followLinks(document);
  const follow = (href: string) => {
    const link = document.createElement('a');
    link.href = href;
    document.body.append(link);
    const event = new MouseEvent('click', { bubbles: true, cancelable: true });
    // What is not taken over must not lead jsdom away.
    const taken = !link.dispatchEvent(event);
    link.remove();
    return taken;
  };
  expect(follow('/hosts/web')).toBe(true);
  expect(router.path).toBe('/hosts/web');
  expect(follow('/api/logs')).toBe(false);
  expect(follow('https://example.org/hosts')).toBe(false);
  end();
});
