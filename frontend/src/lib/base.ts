/** Below which path of its host the server is seen; empty for most. */
export const base =
  globalThis.document?.querySelector<HTMLMetaElement>('meta[name=base-path]')?.content ?? '';

/** A path of ours as it stands in the address bar and in links. */
export function href(path: string): string {
  return base + path;
}

/** The path of ours in one of the address bar. */
export function ours(path: string, below = base): string {
  if (!below || !(path + '/').startsWith(below + '/')) return path;
  return path.slice(below.length) || '/';
}
