/** Programs of the system that serve a test: on a free loopback port, in a directory of their own, stopped with the scope. */
import { Effect } from "effect"
import { type ChildProcess, spawn, type SpawnOptions } from "node:child_process"
import { randomInt } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { createServer, type AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"

/**
 * A port for a server that starts later. None of those that the system gives out by itself (from 32768 on Linux, from 49152
 * elsewhere): some client or server would have it by then.
 */
export const freePort = Effect.callback<number>((resume) => {
  const probe = createServer()
  const listen = () => probe.listen(randomInt(20_000, 32_768), "127.0.0.1")
  probe.on("error", (error: NodeJS.ErrnoException) =>
    error.code === "EADDRINUSE" ? listen() : resume(Effect.die(error))
  )
  probe.on("listening", () => {
    const { port } = probe.address() as AddressInfo // TCP, so never a string or null
    probe.close(() => resume(Effect.succeed(port)))
  })
  listen()
})

export const directory = (prefix: string) =>
  Effect.acquireRelease(
    Effect.sync(() => mkdtempSync(join(tmpdir(), prefix))),
    (path) => Effect.sync(() => rmSync(path, { recursive: true, force: true }))
  )

/** Runs it until it says that it is ready; dies with what it said where it does not come to that. */
export const serve = (
  program: string,
  args: ReadonlyArray<string>,
  options: SpawnOptions & { readonly ready: RegExp; readonly stop: NodeJS.Signals }
) =>
  Effect.acquireRelease(
    Effect.callback<ChildProcess>((resume) => {
      const child = spawn(program, args, { ...options, stdio: ["ignore", "pipe", "pipe"] })
      const kill = () => child.kill("SIGKILL")
      process.once("exit", kill)
      let said = ""
      const listen = (text: Buffer) => {
        said += String(text)
        if (options.ready.test(said)) resume(Effect.succeed(child))
      }
      child.stdout?.on("data", listen)
      child.stderr?.on("data", listen)
      child.once("error", () => resume(Effect.die(new Error(`${program} cannot be run: install it, as .ci/run does`))))
      child.once("exit", () => {
        process.off("exit", kill)
        resume(Effect.die(new Error(`${program} ended before it was ready:\n${said}`)))
      })
    }),
    (child) =>
      Effect.callback<void>((resume) => {
        if (child.exitCode !== null || child.signalCode !== null) return resume(Effect.void)
        child.once("exit", () => resume(Effect.void))
        child.kill("SIGCONT") // a test may have stopped it
        child.kill(options.stop)
      })
  )
