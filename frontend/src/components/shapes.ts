/** The shape of each level on a grid of 16: told apart without colour, also when small. */
import type { Level } from '../lib/status';

export interface Shape {
  /** The outline that is filled. */
  body: string;
  /** What is drawn on it. */
  sign: string;
  /** Drawn as a dashed line instead of filled: nothing is known. */
  hollow?: boolean;
}

const CIRCLE = 'M8 1.2a6.8 6.8 0 1 0 0 13.6A6.8 6.8 0 0 0 8 1.2z';

export const SHAPES: Record<Level, Shape> = {
  ok: { body: CIRCLE, sign: 'M5 8.2l2.2 2.2L11 6' },
  info: {
    body: 'M4 1.5h8A2.5 2.5 0 0 1 14.5 4v8a2.5 2.5 0 0 1-2.5 2.5H4A2.5 2.5 0 0 1 1.5 12V4A2.5 2.5 0 0 1 4 1.5z',
    sign: 'M8 7.4v3.8M8 4.7v.1',
  },
  warn: { body: 'M8 .9l7.4 13.6H.6z', sign: 'M8 6v3.8M8 12.2v.1' },
  crit: { body: 'M8 .3L15.7 8 8 15.7.3 8z', sign: 'M8 4.3v4.4M8 11.4v.1' },
  error: {
    body: 'M4.6 1.2h6.8L15.2 8l-3.8 6.8H4.6L.8 8z',
    sign: 'M6 6.2a2 2 0 1 1 2.9 1.8c-.6.3-.9.6-.9 1.2M8 11.7v.1',
  },
  down: { body: 'M1 1h14v14H1z', sign: 'M4.8 4.8l6.4 6.4M11.2 4.8l-6.4 6.4' },
  unknown: {
    body: CIRCLE,
    sign: 'M6.2 6.3a1.9 1.9 0 1 1 2.7 1.7c-.6.3-.9.6-.9 1.2M8 11.6v.1',
    hollow: true,
  },
  stopped: { body: CIRCLE, sign: 'M6.2 5.4v5.2M9.8 5.4v5.2', hollow: true },
  stale: { body: CIRCLE, sign: 'M8 4.6V8l2.2 1.6', hollow: true },
};
