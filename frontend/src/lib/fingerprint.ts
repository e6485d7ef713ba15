/** Fingerprints of keys: 64 hexadecimal digits that two people compare. */

const DIGITS = 64;

/** What was typed or pasted, as the API writes it; null if it is no fingerprint. */
export function parseFingerprint(text: string): string | null {
  const digits = text
    .trim()
    .toLowerCase()
    .replace(/^sha256:/, '')
    .replace(/[:\s]/g, '');
  return digits.length === DIGITS && /^[0-9a-f]+$/.test(digits) ? digits : null;
}

/** In groups of four, as eyes compare it. */
export function inGroups(fingerprint: string): string[] {
  return fingerprint.match(/.{1,4}/g) ?? [];
}

export type Comparison = 'nothing' | 'no fingerprint' | 'same' | 'other';

/** What was pasted beside what the client showed. */
export function compare(pasted: string, shown: string): Comparison {
  if (pasted.trim() === '') return 'nothing';
  const parsed = parseFingerprint(pasted);
  if (!parsed) return 'no fingerprint';
  return parsed === parseFingerprint(shown) ? 'same' : 'other';
}
