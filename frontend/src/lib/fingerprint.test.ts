// @vitest-environment node
import { describe, expect, it } from 'vitest';
import { compare, inGroups, parseFingerprint } from './fingerprint';

const key = '0123456789abcdef'.repeat(4);

describe('fingerprints', () => {
  it('are read in any way people write them', () => {
    expect(parseFingerprint(` SHA256:${key.toUpperCase()}\n`)).toBe(key);
    expect(parseFingerprint((key.match(/../g) ?? []).join(':'))).toBe(key);
    expect(parseFingerprint(inGroups(key).join(' '))).toBe(key);
  });

  it('are refused when cut or foreign', () => {
    expect(parseFingerprint(key.slice(1))).toBeNull();
    expect(parseFingerprint('g'.repeat(64))).toBeNull();
  });

  it('are compared as a whole', () => {
    expect(compare('', key)).toBe('nothing');
    expect(compare(key.slice(0, 60), key)).toBe('no fingerprint');
    expect(compare(key.toUpperCase(), key)).toBe('same');
    expect(compare(`${key.slice(0, 63)}0`, key)).toBe('other');
  });

  it('are shown in groups that lose nothing', () => {
    expect(inGroups(key)).toHaveLength(16);
    expect(inGroups(key).join('')).toBe(key);
  });
});
