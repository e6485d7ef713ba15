// @vitest-environment node
import { expect, it } from 'vitest';
import { bytes } from './size';

it('writes sizes with three digits and a unit', () => {
  expect(bytes(0)).toBe('0 B');
  expect(bytes(1023)).toBe('1023 B');
  expect(bytes(1024)).toBe('1.0 KiB');
  expect(bytes(43_200_000)).toBe('41.2 MiB');
  expect(bytes(500 * 1024 ** 2)).toBe('500 MiB');
  expect(bytes(3 * 1024 ** 4)).toBe('3.0 TiB');
  expect(bytes(Number.NaN)).toBe('0 B');
});
