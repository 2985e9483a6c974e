/** A way to a server that can be led to another one, or lose its answers. */
import * as Effect from "effect/Effect"
import { type AddressInfo, connect, createServer, type Socket } from "node:net"

/** Ends with the scope. */
export const make = Effect.fnUntraced(function* (port: number) {
  let to = port
  let asked: string | undefined
  let loses = false
  const sockets = new Set<Socket>()
  const server = createServer((near) => {
    const far = connect(to, "127.0.0.1")
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.on("error", () => {})
      socket.on("close", () => {
        sockets.delete(socket)
        near.destroy()
        far.destroy()
      })
    }
    near.on("data", (data) => {
      if (asked !== undefined && String(data).toLowerCase().includes(asked)) {
        asked = undefined
        loses = true
      }
      far.write(data)
    })
    far.on("data", (data) => {
      if (!loses) return void near.write(data)
      loses = false
      near.destroy()
    })
  })
  yield* Effect.acquireRelease(
    Effect.promise(() => new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))),
    () =>
      Effect.sync(() => {
        for (const socket of sockets) socket.destroy()
        server.close()
      })
  )
  return {
    port: (server.address() as AddressInfo).port, // TCP, so never a string or null
    /** Connections are cut; the next ones lead there. */
    leadTo: (port: number) =>
      Effect.sync(() => {
        to = port
        for (const socket of sockets) socket.destroy()
      }),
    /** The answer to the next request with this word in it is lost, and the connection with it: the server has done its work. */
    loseAnswerTo: (word: string) =>
      Effect.sync(() => {
        asked = word
      })
  }
})
