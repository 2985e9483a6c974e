/**
 * Passes TCP connections on: to a host that has its own network, the provider is on its own loopback address, the only
 * place where Keyfob takes plain http.
 *
 *     node forward.ts PORT TO_ADDRESS
 */
import { connect, createServer } from "node:net"
import { pipeline } from "node:stream"

const [port, address = ""] = process.argv.slice(2)

createServer((socket) => {
  const other = connect(Number(port), address)
  pipeline(socket, other, () => {})
  pipeline(other, socket, () => {})
}).listen(Number(port), "127.0.0.1", () => console.log("ready"))
