/** The browser of the person at this machine: whether they have one here, and how it is opened. */
import * as Config from "effect/Config"
import * as Effect from "effect/Effect"
import { spawn } from "node:child_process"
import { existsSync } from "node:fs"
import * as os from "node:os"
import * as path from "node:path"
import { withoutSecrets } from "./childEnvironment.ts"

export interface Browser {
  /** Whether the person has a browser here: one that is named, or a desktop. Not over SSH, not in a container. */
  readonly isAtHand: Effect.Effect<boolean>
  /** Opens a page, without waiting for the browser to end. False where that could not be done. */
  readonly open: (url: string) => Effect.Effect<boolean>
  /** The command that brings a port of this machine to the one where the person sits: `ssh -L …`. */
  readonly tunnel: (port: number) => Effect.Effect<string>
}

/** What decides about a browser, of all that a machine is. */
export interface Machine {
  readonly platform: NodeJS.Platform
  readonly isWsl: boolean
  readonly isContainer: boolean
  readonly isRemote: boolean
  readonly hasDisplay: boolean
  /** Where Windows is, on Windows. */
  readonly systemRoot: string
  /** `BROWSER`: commands, the best first. */
  readonly named: ReadonlyArray<string>
}

type Command = readonly [program: string, ...args: ReadonlyArray<string>]

/**
 * The person's browser.
 *
 * @param options.command opens a page, instead of what `BROWSER` and the system have; the address takes the place of `%s`,
 * or stands at its end
 */
export const make = (options: { readonly command?: string | undefined } = {}): Browser => {
  const { command } = options
  return {
    isAtHand: Effect.map(machine, (here) => command !== undefined || isAtHand(here)),
    open: Effect.fnUntraced(function* (url) {
      const commands = command === undefined ? openers(yield* machine, url) : commandOf(command, url)
      for (const one of commands) if (yield* started(one)) return true
      return false
    }),
    tunnel: (port) => Effect.map(sshConnection, (connection) => tunnelTo(port, connection))
  }
}

const variable = (name: string) =>
  Config.String(name).pipe(
    Config.withDefault(""),
    Effect.orElseSucceed(() => "")
  )

const sshConnection = variable("SSH_CONNECTION")

const machine: Effect.Effect<Machine> = Effect.gen(function* () {
  const isSet = (name: string) => Effect.map(variable(name), (value) => value !== "")
  const isContainer =
    existsSync("/.dockerenv") ||
    existsSync("/run/.containerenv") ||
    (yield* isSet("KUBERNETES_SERVICE_HOST")) ||
    (yield* isSet("container"))
  return {
    platform: process.platform,
    isContainer,
    isWsl: !isContainer && process.platform === "linux" && /microsoft/i.test(os.release()),
    isRemote: (yield* isSet("SSH_CONNECTION")) || (yield* isSet("SSH_TTY")),
    hasDisplay: (yield* isSet("DISPLAY")) || (yield* isSet("WAYLAND_DISPLAY")),
    systemRoot: (yield* variable("SystemRoot")) || "C:\\Windows",
    named: (yield* variable("BROWSER")).split(path.delimiter).filter((name) => name.trim() !== "")
  }
})

/** Where `BROWSER` is set there is one, wherever it is: remote desktops and editors set it. */
export const isAtHand = ({ hasDisplay, isContainer, isRemote, isWsl, named, platform }: Machine): boolean => {
  if (named.length > 0) return true
  if (isContainer || isRemote) return false
  return platform === "darwin" || platform === "win32" || isWsl || hasDisplay
}

/** What to try, in order. The address is one argument of a program and never a shell's: `&` and `=` mean nothing there. */
export const openers = (machine: Machine, url: string): ReadonlyArray<Command> => [
  ...machine.named.flatMap((command) => commandOf(command, url)),
  ...system(machine, url)
]

const system = ({ isWsl, platform, systemRoot }: Machine, url: string): ReadonlyArray<Command> => {
  if (platform === "darwin") return [["open", url]]
  if (platform === "win32") {
    return [
      [`${systemRoot}\\System32\\rundll32.exe`, "url.dll,FileProtocolHandler", url],
      powershell(`${systemRoot}\\System32\\WindowsPowerShell\\v1.0\\powershell.exe`, url)
    ]
  }
  return isWsl ? [["wslview", url], powershell("powershell.exe", url), ["xdg-open", url]] : [["xdg-open", url]]
}

/** PowerShell reads its arguments as a program: this one is encoded, and the address in it a quoted text. */
const powershell = (program: string, url: string): Command => {
  const script = `Start-Process '${url.replaceAll("'", "''")}'`
  const encoded = Buffer.from(script, "utf16le").toString("base64")
  return [program, "-NoProfile", "-NonInteractive", "-EncodedCommand", encoded]
}

/** A command as somebody wrote it: words, in quotes where there are blanks in them. */
const commandOf = (command: string, url: string): ReadonlyArray<Command> => {
  const words = [...command.matchAll(/(?:[^\s"']+|"[^"]*"|'[^']*')+/g)].map(([word]) =>
    word.replace(
      /"([^"]*)"|'([^']*)'/g,
      (_, double: string | undefined, single: string | undefined) => double ?? single ?? ""
    )
  )
  const [program, ...args] = words
  if (program === undefined) return []
  const filled = args.map((arg) => arg.replaceAll("%s", () => url))
  return [args.some((arg) => arg.includes("%s")) ? [program, ...filled] : [program, ...args, url]]
}

/**
 * Starts a program that outlives this one. One that is still running after two seconds is a browser itself, or hangs:
 * neither is waited for.
 */
const started = ([program, ...args]: Command): Effect.Effect<boolean> =>
  Effect.callback<boolean>((resume) => {
    const child = spawn(program, args, { detached: true, stdio: "ignore", windowsHide: true, env: withoutSecrets() })
    child.once("error", () => resume(Effect.succeed(false)))
    child.once("exit", (code) => resume(Effect.succeed(code === 0)))
    child.unref()
  }).pipe(Effect.timeoutOrElse({ duration: "2 seconds", orElse: () => Effect.succeed(true) }))

/** `SSH_CONNECTION` is the client's address and port, then this machine's as the client knows it. */
const tunnelTo = (port: number, connection: string) => {
  const [, , server = os.hostname(), sshPort = "22"] = connection.split(" ").filter((word) => word !== "")
  const other = sshPort === "22" ? "" : ` -p ${sshPort}`
  return `ssh -N -L ${port}:127.0.0.1:${port}${other} ${os.userInfo().username}@${server}`
}
