/**
 * The fast path of `keyfob token`, for when the token is there and fresh. The whole command (all flags, help, completions,
 * HTTP, flows) takes several times as long to load as this takes to run.
 *
 * It knows only plain command lines and fresh tokens. In any other case, also where there is something to warn of or an
 * error to tell, it prints nothing and gives `false`; then the whole command runs from the beginning.
 */
import * as NodePath from "@effect/platform-node/NodePath"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as UserDirectories from "effect/persistence/UserDirectories"
import * as Configuration from "@keyfob/node/Configuration"
import * as FileCredentialStore from "@keyfob/node/FileCredentialStore"
import { readFileSync, statSync } from "node:fs"
import { dirname } from "node:path"
import { type Globals, resolve } from "./globals.ts"
import { answer } from "./output.ts"
import * as providers from "./provider.ts"
import { stored } from "./stored.ts"
import { tokenJson, tokenText } from "./text/token.ts"
import * as workspace from "./workspace.ts"

/** Prints the token, if it can; gives whether it did. */
export const cached = async (args: ReadonlyArray<string>): Promise<boolean> => {
  const plain = parse(args)
  return plain !== undefined && Effect.runPromise(printed(plain))
}

interface Plain {
  readonly provider: string | undefined
  readonly output: Globals["output"] | undefined
  readonly context: string | undefined
}

/** The command lines that are understood here. */
const parse = ([command, ...rest]: ReadonlyArray<string>): Plain | undefined => {
  if (command !== "token") return undefined
  let plain: Plain = { provider: undefined, output: undefined, context: undefined }
  for (let index = 0; index < rest.length; index++) {
    const word = rest[index] ?? ""
    if (!word.startsWith("-") && plain.provider === undefined) plain = { ...plain, provider: word }
    else if (word === "-o" || word === "--output") {
      const output = rest[++index]
      if (output !== "text" && output !== "json") return undefined
      plain = { ...plain, output }
    } else if (word === "--context") {
      const context = rest[++index]
      if (context === undefined || context.startsWith("-")) return undefined
      plain = { ...plain, context }
    } else return undefined
  }
  return plain
}

const printed = ({ context, output, provider: name }: Plain) => {
  let spoken = false
  const listener = Logger.make(() => {
    spoken = true
  })
  return Effect.gen(function* () {
    const opened = yield* workspace.open(yield* resolve({ context, output }))
    const configured = yield* workspace.provider(opened, name)
    const provider = yield* providers.resolve(configured, providers.broughtTo(opened, [configured]))
    // Other stores ask a keychain or a server, and take more code to load.
    if ((provider.settings.store ?? "file") !== "file") return false
    const found = yield* stored(provider, Duration.zero).pipe(
      Effect.provide(FileCredentialStore.layer({ directory: opened.directories.credentials }))
    )
    if (spoken || Option.isNone(found)) return false
    const { token } = found.value
    yield* answer(opened.globals, tokenJson(token), () => tokenText(token))
    return true
  }).pipe(
    Effect.catchCause(() => Effect.succeed(false)),
    Effect.provide([fileSystem, NodePath.layer, UserDirectories.layer, Logger.layer([listener])])
  )
}

/** Reads files, and nothing else. A file that cannot be read, or that others can read, is left to the whole command. */
const fileSystem = FileSystem.layerNoop({
  readFileString: (path) =>
    Effect.sync(() => {
      if ([path, dirname(path)].some(isOpen)) throw new Error("others can read it")
      return readFileSync(path, "utf8")
    })
})

const isOpen = (path: string) => process.platform !== "win32" && Configuration.isOpen(statSync(path).mode & 0o777)
