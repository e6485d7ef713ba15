/** The one place that speaks HTTP: errors become sentences, and who is not signed in is sent to do so. */

import { href } from './base';

/** An answer that takes longer is given up, in milliseconds. Running a probe may take 30 s. */
const TIMEOUT = 15_000;
export const LONG_TIMEOUT = 40_000;

export class ApiError extends Error {
  /** The HTTP status; 0 if there was no answer. */
  readonly status: number;
  /** Seconds to wait before the next try, if the server said. */
  readonly retryAfter: number;

  constructor(status: number, message: string, retryAfter = 0) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

export type Query = Record<string, string | number | boolean | null | undefined>;

export interface Options {
  query?: Query;
  body?: unknown;
  signal?: AbortSignal | undefined;
  /** Milliseconds. */
  timeout?: number;
  /** A 401 is an answer here, and no reason to go to the login page. */
  keepHere?: boolean;
}

let unauthorized: () => void = () => {};

/** Says what to do when the server wants to know who we are. */
export function onUnauthorized(handler: () => void): void {
  unauthorized = handler;
}

/** Where a path of the server is, with its parameters; empty ones are left out. */
export function address(path: string, query: Query = {}): string {
  const search = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value !== '' && value !== null && value !== undefined) search.set(name, String(value));
  }
  const text = search.toString();
  return href(text ? `${path}?${text}` : path);
}

/** A path out of segments, each encoded: names can contain anything. */
export function path(...segments: string[]): string {
  return '/api/' + segments.map(encodeURIComponent).join('/');
}

export function get<T>(path: string, options: Options = {}): Promise<T> {
  return request<T>('GET', path, options);
}

/** Changes something: with the header that a foreign page cannot set. */
export function post<T>(path: string, options: Options = {}): Promise<T> {
  return request<T>('POST', path, options);
}

/** The same, telling whether it was done (200) or waits for a host that is away (202). */
export async function order<T, W>(
  path: string,
  options: Options = {},
): Promise<{ done: true; answer: T } | { done: false; order: W }> {
  const response = await send('POST', path, options);
  const answer = await read(response);
  return response.status === 202
    ? { done: false, order: answer as W }
    : { done: true, answer: answer as T };
}

async function request<T>(method: string, path: string, options: Options): Promise<T> {
  return (await read(await send(method, path, options))) as T;
}

async function send(method: string, path: string, options: Options): Promise<Response> {
  const headers: Record<string, string> = { Accept: 'application/json' };
  if (method !== 'GET') headers['X-Wigo-Request'] = '1';
  if (options.body !== undefined) headers['Content-Type'] = 'application/json';
  const timeout = AbortSignal.timeout(options.timeout ?? TIMEOUT);
  let response: Response;
  try {
    response = await fetch(address(path, options.query), {
      method,
      headers,
      body: options.body === undefined ? null : JSON.stringify(options.body),
      signal: options.signal ? AbortSignal.any([options.signal, timeout]) : timeout,
      credentials: 'same-origin',
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    const why = timeout.aborted
      ? 'The server did not answer in time.'
      : 'The server cannot be reached.';
    throw new ApiError(0, why);
  }
  if (response.ok) return response;
  if (response.status === 401 && !options.keepHere) unauthorized();
  throw new ApiError(
    response.status,
    await sentence(response),
    Number(response.headers.get('Retry-After')) || 0,
  );
}

async function read(response: Response): Promise<unknown> {
  const text = await response.text();
  if (!response.headers.get('Content-Type')?.includes('json')) return text;
  try {
    return JSON.parse(text);
  } catch {
    throw new ApiError(response.status, 'The answer of the server cannot be read.');
  }
}

/** Refusals are a JSON string; whatever else comes is described. */
async function sentence(response: Response): Promise<string> {
  const text = await response.text().catch(() => '');
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'string' && value) return upper(value);
  } catch {
    // No JSON: described below.
  }
  if (response.status === 401) return 'You are not signed in.';
  if (response.status === 403) return 'You may not do this.';
  if (response.status === 404) return 'There is no such thing here.';
  return `The server answered ${response.status}${response.statusText ? ` (${response.statusText})` : ''}.`;
}

function upper(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** What to tell about an error, as a sentence. */
export function explain(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
