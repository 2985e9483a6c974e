import type * as Headers from "effect/http/Headers"

/** One of the ways a server offers to authenticate (RFC 9110 section 11.3): a scheme and its parameters, names in lower case. */
export interface Challenge {
  readonly scheme: string
  readonly params: Readonly<Record<string, string>>
}

// RFC 9110 sections 5.6.2, 5.6.4 and 11.2; bad whitespace around "=" is read (section 5.6.3).
const token = /[\w!#$%&'*+.^`|~-]+/y
const token68 = /[A-Za-z0-9._~+/-]+=*(?=\s*(?:,|$))/y
const param = /([\w!#$%&'*+.^`|~-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([\w!#$%&'*+.^`|~-]+))/sy
const separators = /[\s,]*/y
const blanks = /[ \t]+/y

/**
 * The challenges of a `WWW-Authenticate` header (RFC 9110 section 11.6.1), of which there may be several, each with
 * commas of its own. Reading ends where something is neither challenge nor parameter: what came before it counts.
 */
export const parse = (header: string): ReadonlyArray<Challenge> => {
  const challenges: Array<Challenge> = []
  let params: Record<string, string> | undefined
  let at = 0
  const take = (pattern: RegExp) => {
    pattern.lastIndex = at
    const found = pattern.exec(header)
    if (found !== null) at += found[0].length
    return found
  }
  for (;;) {
    take(separators)
    const found = params === undefined ? null : take(param)
    if (params !== undefined && found !== null) {
      const [, name = "", quoted, plain = ""] = found
      // Twice the same says nothing one could rely on (section 11.2): the first counts.
      params[name.toLowerCase()] ??= quoted === undefined ? plain : quoted.replace(/\\(.)/gs, "$1")
      continue
    }
    const scheme = take(token)
    if (scheme === null) return challenges
    params = Object.create(null) as Record<string, string> // no name means anything but itself
    challenges.push({ scheme: scheme[0].toLowerCase(), params })
    if (take(blanks) !== null) take(token68)
  }
}

/** What a server says to a token: the challenges of the schemes that take one (RFC 6750 section 3, RFC 9449 section 7.1). */
export const ofTokens = (
  headers: Headers.Headers
): { readonly any: boolean; readonly ours: ReadonlyArray<Challenge> } => {
  const all = parse(headers["www-authenticate"] ?? "")
  return { any: all.length > 0, ours: all.filter(({ scheme }) => scheme === "bearer" || scheme === "dpop") }
}
