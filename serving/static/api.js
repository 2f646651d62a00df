/** The way to the endpoint: relative paths, the API key, problem documents. */

import { keyInUse, needKey } from "./key.js";

const PATIENCE_MS = 35_000;

/** A refusal of the endpoint: `errors` name rows and fields. */
export class Problem extends Error {
  constructor(status, document, retryAfter) {
    super(document.detail || document.title || `The endpoint answered with status ${status}.`);
    this.status = status;
    this.errors = document.errors ?? [];
    this.retryAfter = retryAfter;
  }
}

/** The endpoint cannot be reached, or did not answer in time. */
export class Away extends Error {}

/**
 * Ask the endpoint and return its JSON.
 *
 * Where it wants an API key, the reader is asked for one and the request is sent again; `quiet`
 * requests, which nobody waits for, are refused instead.
 */
export async function ask(path, { method = "GET", json, form, quiet = false } = {}) {
  for (;;) {
    const key = keyInUse();
    const response = await send(path, { method, json, form, key });
    if (response.ok) return await response.json();
    const problem = await problemOf(response);
    if (response.status !== 401 || quiet) throw problem;
    // Another request may have brought a new key while this one was on its way.
    if (keyInUse() === key && !(await needKey(key === null ? null : problem.message)))
      throw problem;
  }
}

async function send(path, { method, json, form, key }) {
  const headers = { Accept: "application/json" };
  if (key !== null) headers.Authorization = `Bearer ${key}`;
  if (json !== undefined) headers["Content-Type"] = "application/json";
  const body = json === undefined ? form : JSON.stringify(json);
  try {
    const signal = AbortSignal.timeout(PATIENCE_MS);
    return await fetch(new URL(path, document.baseURI), {
      method,
      headers,
      body,
      signal,
      cache: "no-store",
    });
  } catch (error) {
    throw new Away(
      error.name === "TimeoutError"
        ? "The endpoint took too long."
        : "The endpoint does not answer.",
    );
  }
}

async function problemOf(response) {
  const text = await response.text();
  const retryAfter = Number(response.headers.get("Retry-After")) || null;
  try {
    return new Problem(response.status, JSON.parse(text) ?? {}, retryAfter);
  } catch {
    // A proxy in between answers in HTML.
    return new Problem(response.status, {}, retryAfter);
  }
}
