import globals from 'globals';
import svelte from 'eslint-plugin-svelte';
import ts from 'typescript-eslint';
import svelteConfig from './svelte.config.js';

export default ts.config(
  { ignores: ['dist', 'node_modules', 'shots'] },
  ...ts.configs.recommended,
  ...svelte.configs.recommended,
  { languageOptions: { globals: { ...globals.browser, ...globals.node } } },
  {
    files: ['**/*.svelte', '**/*.svelte.ts'],
    languageOptions: { parserOptions: { parser: ts.parser, svelteConfig } },
  },
  {
    rules: {
      // What others wrote is shown as text, never as markup.
      'svelte/no-at-html-tags': 'error',
      // Our router serves plain links; SvelteKit's resolve() does not exist here.
      'svelte/no-navigation-without-resolve': 'off',
      // Places are replaced as a whole, never changed.
      'svelte/prefer-svelte-reactivity': 'off',
      // {' '} keeps a space that Svelte would trim.
      'svelte/no-useless-mustaches': 'off',
      'no-restricted-properties': [
        'error',
        { property: 'innerHTML', message: 'Text goes in as text.' },
        { property: 'outerHTML', message: 'Text goes in as text.' },
      ],
    },
  },
);
