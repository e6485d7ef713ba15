import type { Plugin } from 'vite';

/** Answers the API with generated data while there is no wigo to ask. */
export function mock(): Plugin {
  return { name: 'wigo-mock' };
}
