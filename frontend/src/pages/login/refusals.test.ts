// @vitest-environment node
import { describe, expect, it } from 'vitest';
import { refusal } from './refusals';

describe('a word in the address', () => {
  it('is told as a sentence, and never shown itself', () => {
    expect(refusal('too_late')).toContain('10 minutes');
    for (const word of ['Call 555-0100 to sign in', 'toString', '__proto__']) {
      expect(refusal(word)).toMatch(/^Signing in did not work\./);
    }
  });

  it('that is missing says nothing', () => {
    expect([refusal(null), refusal('')]).toEqual(['', '']);
  });
});
