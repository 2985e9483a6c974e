/** HTTP as the model sees it: plain data on both sides. */
import type { Lie } from "./Lie.ts"

/** A request, as it reached the provider. */
export interface Request {
  readonly method: string
  /** Path and query. */
  readonly url: string
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** What the answer to it shall say wrongly: a fault's doing, not the client's. */
  readonly lie?: Lie
}

/**
 * The address of a request in full, whatever stands in its target (RFC 9112 section 3.2): who answers is the provider, by
 * whichever name it was called.
 */
export const addressOf = (issuer: string, target: string): URL => {
  const named = /^https?:/i.test(target) ? URL.parse(target) : null
  const path = named === null ? target : `${named.pathname}${named.search}`
  return new URL(`${new URL(issuer).origin}${path.startsWith("/") ? "" : "/"}${path}`)
}

/** An answer, whole. */
export interface Response {
  readonly status: number
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
  /** The person is not done: milliseconds after which the same request is to be asked again. Nobody sees this answer. */
  readonly again?: number
}

/** A JSON answer that nobody may keep (RFC 6749 section 5.1). */
export const json = (body: unknown, status = 200, headers: Readonly<Record<string, string>> = {}): Response => ({
  status,
  headers: { "content-type": "application/json; charset=utf-8", "cache-control": "no-store", ...headers },
  body: JSON.stringify(body)
})

export const html = (title: string, content: string, status = 200): Response => ({
  status,
  headers: { "content-type": "text/html; charset=utf-8", "cache-control": "no-store" },
  body: `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${escape(title)}</title></head><body><main><h1>${escape(title)}</h1>${content}</main></body></html>`
})

export const text = (body: string, status: number, headers: Readonly<Record<string, string>> = {}): Response => ({
  status,
  headers: { "content-type": "text/plain; charset=utf-8", ...headers },
  body
})

export const empty = (status: number, headers: Readonly<Record<string, string>> = {}): Response => ({
  status,
  headers,
  body: ""
})

/** To another page, asked for with GET (RFC 9700 section 4.12: 303, so that no form is posted on). */
export const redirect = (location: string): Response =>
  empty(303, { location, "cache-control": "no-store", "referrer-policy": "no-referrer" })

export const escape = (text: string) => text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`)
