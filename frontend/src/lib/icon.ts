/** The icon of the tab: the shape and colour of the worst status. */
import { SHAPES } from '../components/shapes';
import type { Level } from './status';

/** As in the design, for a tab bar of any colour. */
const COLOURS: Record<Level, [fill: string, sign: string]> = {
  ok: ['#2a8a54', '#ffffff'],
  info: ['#2c70c4', '#ffffff'],
  warn: ['#f2b32a', '#281a00'],
  crit: ['#e5484d', '#ffffff'],
  error: ['#b653bd', '#ffffff'],
  down: ['#b0001e', '#ffffff'],
  unknown: ['#77837d', '#ffffff'],
  stopped: ['#77837d', '#ffffff'],
  stale: ['#77837d', '#ffffff'],
};

export function iconOf(level: Level): string {
  const [fill, sign] = COLOURS[level];
  const shape = SHAPES[level];
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path d="${shape.body}" fill="${fill}"/>` +
    `<path d="${shape.sign}" fill="none" stroke="${sign}" stroke-width="1.9" stroke-linecap="round"/></svg>`;
  return `data:image/svg+xml,${encodeURIComponent(svg)}`;
}

let shown: Level | undefined;

export function showIcon(level: Level): void {
  if (level === shown) return;
  shown = level;
  const link = document.querySelector<HTMLLinkElement>('#icon');
  if (link) link.href = iconOf(level);
}
