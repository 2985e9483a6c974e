/**
 * From where a host can be reached, as far as its text shows. A name other than this machine's shows nothing: it is looked
 * up by who sends the request.
 */

/** Whether requests to it stay on this machine for certain, so that they need no TLS (RFC 8252 section 8.3). */
export const isLoopback = (hostname: string): boolean => /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/.test(hostname)

/**
 * Whether a provider that is known by one host may have an endpoint at the other: whoever is asked in public has no business
 * naming this machine, its link or its network, where requests are answered that come from within (server-side request
 * forgery). What is itself known by such an address may name others of its kind, and this machine whatever it likes.
 */
export const mayName = (hostname: string, other: string): boolean => {
  const reach = reachOf(other)
  return reach === undefined || isLoopback(hostname) || (reach !== "machine" && reach === reachOf(hostname))
}

/** As the platform's URL parser spells them, whatever they were written as. */
const reaches = {
  // RFC 6761 section 6.3, RFC 1122 section 3.2.1.3, RFC 4291 sections 2.5.2 and 2.5.3
  machine: /^(.*\.)?localhost\.?$|^(127|0)(\.\d{1,3}){3}$|^\[::1?\]$/,
  // RFC 3927, RFC 4291 section 2.5.6: where clouds tell a machine its secrets
  link: /^169\.254(\.\d{1,3}){2}$|^\[fe[89ab][\da-f]:/,
  // RFC 1918, RFC 6598; RFC 4193, RFC 3879, RFC 8215
  network:
    /^(10\.\d{1,3}|172\.(1[6-9]|2\d|3[01])|192\.168|100\.(6[4-9]|[789]\d|1[01]\d|12[0-7]))(\.\d{1,3}){2}$|^\[(f([cd][\da-f]|e[c-f])[\da-f]|64:ff9b:1):/
} as const

const reachOf = (hostname: string) => {
  const host = withinVersion6(hostname) ?? hostname
  return (["machine", "link", "network"] as const).find((reach) => reaches[reach].test(host))
}

/** The version 4 address within a version 6 one (RFC 4291 section 2.5.5, RFC 6052 section 2.1). */
const withinVersion6 = (hostname: string) => {
  const [, high, low] = /^\[(?:::ffff:|64:ff9b::|::)([\da-f]{1,4}):([\da-f]{1,4})\]$/.exec(hostname) ?? []
  if (high === undefined || low === undefined) return undefined
  return [high, low].flatMap((half) => [parseInt(half, 16) >> 8, parseInt(half, 16) & 255]).join(".")
}
