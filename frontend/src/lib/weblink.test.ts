// @vitest-environment node
import { expect, it } from 'vitest';
import { webLink } from './weblink';

it('leads to the web and nowhere else', () => {
  expect(webLink(' https://wiki.example.org/a b ')).toBe('https://wiki.example.org/a%20b');
  expect(webLink('http://10.0.0.1/x')).toBe('http://10.0.0.1/x');
  for (const text of [
    'javascript:alert(1)',
    'JavaScript:alert(1)',
    ' data:text/html,x',
    'file:///etc/passwd',
    '//elsewhere.example.org',
    '/api/session/end',
    'see the wiki',
    '',
    null,
  ])
    expect(webLink(text), String(text)).toBeNull();
});
