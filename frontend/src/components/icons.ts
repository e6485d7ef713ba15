/** Icons as paths on a grid of 16, drawn with lines of the text's colour. */
export const ICONS = {
  pulse: 'M1.5 8.5h3l2-5 3 9 2-4h3',
  hosts: 'M2.5 2.5h11v4h-11zM2.5 9.5h11v4h-11zM5 4.5h.01M5 11.5h.01',
  wall: 'M1.5 3h13v8.5h-13zM5.5 14h5',
  logs: 'M3 3.5h10M3 6.5h10M3 9.5h7M3 12.5h5',
  disabled: 'M8 2a6 6 0 1 0 0 12A6 6 0 0 0 8 2zM3.8 3.8l8.4 8.4',
  authority: 'M8 1.5l5.5 2v4c0 3.5-2.3 5.8-5.5 7-3.2-1.2-5.5-3.5-5.5-7v-4zM5.5 8l1.8 1.8L10.8 6',
  access: 'M10.5 2a3.5 3.5 0 1 1-3 5.3L2.5 12.3V14h2.2v-1.7h1.7v-1.7l2-2',
  audit: 'M4 1.5h6l3 3v10H4zM6.5 7.5h4M6.5 10.5h4',
  about: 'M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8zM8 7.2v4M8 4.7v.1',
  search: 'M7 2.2a4.8 4.8 0 1 0 0 9.6 4.8 4.8 0 0 0 0-9.6zM10.5 10.5L14 14',
  menu: 'M2 4h12M2 8h12M2 12h12',
  user: 'M8 2a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM2.5 14c.4-2.8 2.6-4.2 5.5-4.2s5.1 1.4 5.5 4.2',
  close: 'M3.5 3.5l9 9M12.5 3.5l-9 9',
  copy: 'M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3',
  check: 'M3 8.5l3.2 3.2L13 4.5',
  right: 'M6 3.5L10.5 8 6 12.5',
  down: 'M3.5 6L8 10.5 12.5 6',
  play: 'M4.5 3l8 5-8 5z',
  clock: 'M8 1.8a6.2 6.2 0 1 0 0 12.4A6.2 6.2 0 0 0 8 1.8zM8 4.5V8l2.5 1.7',
  bell: 'M3 11.5c1.2-1 1.2-2.4 1.2-4.2a3.8 3.8 0 0 1 7.6 0c0 1.8 0 3.2 1.2 4.2zM6.7 13.8h2.6',
  refresh: 'M13.5 8a5.5 5.5 0 1 1-1.7-4M13.5 1.8v3h-3',
  plus: 'M8 3v10M3 8h10',
  pause: 'M5.5 3v10M10.5 3v10',
  external: 'M9.5 2.5h4v4M13.5 2.5L7.5 8.5M11.5 9.5v4h-9v-9h4',
} as const;

export type IconName = keyof typeof ICONS;
