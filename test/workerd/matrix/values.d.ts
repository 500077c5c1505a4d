// The types of values.js.

export interface Platform {
  target(): object;
  stub(): object;
  promise(): object;
  service?(): object;
}

export const MAKERS: Readonly<Record<string, (platform: Platform) => unknown>>;
export function told(value: unknown): Promise<string>;
