/// <reference types="vitest/config" />
import { svelte } from '@sveltejs/vite-plugin-svelte';
import { svelteTesting } from '@testing-library/svelte/vite';
import { defineConfig } from 'vite';
import { mock } from './dev/mock.ts';

// The address of a running wigo to work with (`WIGO=http://127.0.0.1:4000 npm run dev`); without it,
// generated data is served.
const wigo = process.env.WIGO;

export default defineConfig({
  plugins: [svelte(), svelteTesting({ autoCleanup: false }), ...(wigo ? [] : [mock()])],
  server: {
    host: '127.0.0.1',
    proxy: wigo ? { '/api': { target: wigo, changeOrigin: false } } : {},
  },
  preview: { host: '127.0.0.1' },
  // Where the server is seen below a path of its own, pieces are found relative to those that want them; the
  // addresses in the shell are completed by the server.
  experimental: {
    renderBuiltUrl: (file, { hostType }) => (hostType === 'html' ? `/${file}` : { relative: true }),
  },
  build: {
    // light-dark(), popover and :has() are used as they are.
    target: ['chrome123', 'firefox125', 'safari17.5'],
    // The content security policy allows no script or style that is not a file of ours.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    rolldownOptions: {
      output: {
        // What pages share comes in one piece: many small ones cost more round trips than they save.
        codeSplitting: {
          groups: [
            { name: 'shared', test: /src\/(lib|components)\// },
            { name: 'held', test: /src\/pages\/held\/(?!Held\.)/ },
            { name: 'told', test: /src\/pages\/(messages|why)\/(?!Messages\.|Why\.)/ },
          ],
        },
      },
    },
  },
  test: {
    environment: 'jsdom',
    include: ['src/**/*.test.ts'],
    reporters: ['default', './dev/counts.ts'],
  },
});
