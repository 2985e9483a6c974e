import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { Server } from "node:http"
import type { AddressInfo } from "node:net"
import { errno } from "./errno.ts"

/** A port that is ours on every loopback address this machine has. */
export interface LoopbackPort {
  readonly port: number
  /** As they stand in a URL: `127.0.0.1`, `[::1]`. */
  readonly hosts: readonly [string, ...ReadonlyArray<string>]
}

/** Of both families, so that nobody else can listen where a browser might look (RFC 8252 section 8.3). */
const loopback = ["127.0.0.1", "::1"]

/**
 * Listens on the first of the ports that is free, 0 being any, with a server made for each address; until the scope ends.
 * Nothing where none is.
 */
export const bind = Effect.fnUntraced(function* (
  makeServer: () => Server,
  ports: ReadonlyArray<number>,
  addresses: ReadonlyArray<string> = loopback
): Effect.fn.Return<LoopbackPort | undefined, never, Scope.Scope> {
  // A free port of one address can be taken at the other: another one will not be.
  const tries = ports.flatMap((port) => (port === 0 ? [0, 0, 0, 0, 0] : [port]))
  for (const wanted of tries) {
    const found = yield* Effect.uninterruptible(bindAll(makeServer, wanted, addresses))
    if (found !== undefined) return found
  }
  return undefined
})

const bindAll = Effect.fnUntraced(function* (
  makeServer: () => Server,
  wanted: number,
  addresses: ReadonlyArray<string>
): Effect.fn.Return<LoopbackPort | undefined, never, Scope.Scope> {
  const bound: Array<{ readonly server: Server; readonly host: string }> = []
  let port = wanted
  for (const address of addresses) {
    const server = makeServer()
    const failure = yield* listen(server, port, address)
    if (failure === undefined) {
      port = (server.address() as AddressInfo).port // TCP, so never a string or null
      bound.push({ server, host: address.includes(":") ? `[${address}]` : address })
    } else if (!isMissing(failure)) {
      yield* Effect.forEach(bound, ({ server }) => close(server))
      return undefined
    }
  }
  yield* Effect.addFinalizer(() => Effect.forEach(bound, ({ server }) => close(server), { discard: true }))
  const [first, ...more] = bound.map(({ host }) => host)
  return first === undefined ? undefined : { port, hosts: [first, ...more] }
})

/** The machine has no such address, or none of the family. */
const isMissing = (code: string) => code === "EADDRNOTAVAIL" || code === "EAFNOSUPPORT"

const listen = (server: Server, port: number, host: string) =>
  Effect.callback<string | undefined>((resume) => {
    const fail = (error: Error) => resume(Effect.succeed(errno(error)))
    server.once("error", fail)
    server.listen({ port, host, ipv6Only: true }, () => {
      server.off("error", fail)
      resume(Effect.succeed(undefined))
    })
  })

const close = (server: Server) =>
  Effect.callback<void>((resume) => {
    server.close(() => resume(Effect.void))
    server.closeAllConnections()
  })
