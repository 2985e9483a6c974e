/** What a login asks of a person, on a terminal: everything on standard error, since standard output is the answer's. */
import * as Clock from "effect/Clock"
import * as DateTime from "effect/DateTime"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Redacted from "effect/Redacted"
import * as Stdio from "effect/Stdio"
import * as Stream from "effect/Stream"
import { type BrowserPrompt, type DeviceCodePrompt, printable, UserPrompt } from "keyfob"
import type { Browser } from "./Browser.ts"
import { terminalColor } from "./config/Environment.ts"
import * as QrCode from "./QrCode.ts"

export interface Options {
  /** Whether escape sequences are welcome. Default: what `NO_COLOR` and `TERM` allow. */
  readonly color?: boolean
  /** Opens the pages that a login asks for. Without one, their address is shown. */
  readonly browser?: Browser
}

/**
 * Sentences for a person. On a terminal also a QR code, and with `color` (the terminal takes escape sequences) the time
 * that is left, kept up to date in one line that goes away with the login; and what a person pastes there is read.
 */
export const layer = (options: Options = {}) =>
  Layer.effect(
    UserPrompt,
    Effect.gen(function* () {
      const color = options.color ?? (yield* terminalColor)
      const write = yield* stderr
      const stdio = yield* Stdio.Stdio
      const onTerminal = yield* stdio.stderrIsTerminal
      const countdown = Effect.fnUntraced(function* (expiresAt: DateTime.Utc) {
        yield* Effect.addFinalizer(() => write(eraseLine))
        const show = Effect.flatMap(secondsLeft(expiresAt), (left) =>
          write(`${eraseLine}Waiting for your approval; the code is good for another ${minutes(left)}`)
        )
        yield* Effect.forkScoped(Effect.forever(Effect.andThen(show, Effect.sleep("1 second"))))
      })

      return UserPrompt.of({
        deviceCode: Effect.fnUntraced(function* (prompt) {
          yield* write(instructions(prompt))
          if (onTerminal) {
            const code = yield* QrCode.lines(printableUri(prompt.verificationUriComplete ?? prompt.verificationUri), {
              color
            })
            yield* write(code.map((line) => `${line}\n`).join(""))
          }
          yield* onTerminal && color
            ? countdown(prompt.expiresAt)
            : write(`The code is good for ${minutes(yield* secondsLeft(prompt.expiresAt))}.\n`)
        }),
        browser: Effect.fnUntraced(function* (prompt) {
          yield* write(invitation(prompt))
          if (options.browser !== undefined) yield* bringUp(options.browser, prompt, write)
          if (!(onTerminal && (yield* stdio.stdinIsTerminal))) return
          yield* write("If it does not come back by itself, paste the address it ends at here, and press Enter.\n")
          yield* pasted(stdio, prompt, write)
        })
      })
    })
  )

/** One JSON object a line, as `keyfob -o json` documents them: `device_code` or `browser`, then `waiting`. */
export const layerJson = (options: Pick<Options, "browser"> = {}) =>
  Layer.effect(
    UserPrompt,
    Effect.gen(function* () {
      const write = yield* stderr
      const note = (message: string) => write(event({ event: "note", message: message.trimEnd() }))
      return UserPrompt.of({
        deviceCode: Effect.fnUntraced(function* (prompt) {
          yield* write(
            event({
              event: "device_code",
              verification_uri: prompt.verificationUri,
              verification_uri_complete: prompt.verificationUriComplete,
              user_code: prompt.userCode,
              expires_in: yield* secondsLeft(prompt.expiresAt),
              interval: prompt.interval
            })
          )
          yield* write(event({ event: "waiting", for: "approval" }))
        }),
        browser: Effect.fnUntraced(function* (prompt) {
          yield* write(event({ event: "browser", url: prompt.url, redirect_uri: prompt.redirectUri }))
          yield* write(event({ event: "waiting", for: "browser" }))
          if (options.browser !== undefined) yield* bringUp(options.browser, prompt, note)
        })
      })
    })
  )

const instructions = ({ issuer, userCode, verificationUri, verificationUriComplete }: DeviceCodePrompt) =>
  [
    `To sign in at ${printable(issuer)}, open this page on any device:`,
    "",
    `    ${printableUri(verificationUri)}`,
    "",
    `and enter the code    ${printable(userCode)}`,
    "",
    ...(verificationUriComplete === undefined
      ? []
      : ["This link has the code in it:", "", `    ${printableUri(verificationUriComplete)}`, ""])
  ]
    .map((line) => `${line}\n`)
    .join("")

const invitation = ({ issuer, url }: BrowserPrompt) =>
  [`To sign in at ${printable(issuer)}, open this page in a browser:`, "", `    ${printableUri(url)}`, ""]
    .map((line) => `${line}\n`)
    .join("")

/** Opens the page where there is a browser; says what to do where there is none. The login waits for neither. */
const bringUp = Effect.fnUntraced(function* (
  { isAtHand, open, tunnel }: Browser,
  { redirectUri, url }: BrowserPrompt,
  say: (text: string) => Effect.Effect<void>
) {
  if (yield* isAtHand) {
    const opened = Effect.flatMap(open(url), (done) =>
      done ? Effect.void : say("Warning: no browser could be opened; open the page yourself.\n")
    )
    return yield* Effect.asVoid(Effect.forkScoped(opened))
  }
  const port = Number(URL.parse(redirectUri)?.port)
  yield* say(
    `There is no browser on this machine. So that one elsewhere finds back, run this there first:\n\n    ${yield* tunnel(port)}\n\n`
  )
})

/** Reads lines of the terminal until one is what is waited for. */
const pasted = (
  stdio: Stdio.Stdio,
  { paste, redirectUri }: BrowserPrompt,
  write: (text: string) => Effect.Effect<void>
) =>
  Effect.gen(function* () {
    // Otherwise standard input, once it was read, would keep the process alive.
    yield* Effect.addFinalizer(() => Effect.sync(() => process.stdin.pause()))
    yield* stdio.stdin.pipe(
      Stream.decodeText,
      Stream.splitLines,
      Stream.filter((line) => line.trim() !== ""),
      Stream.mapEffect((line) => paste(Redacted.make(line))),
      Stream.tap((taken) =>
        taken ? Effect.void : write(`That is not the answer to this login. It begins with ${redirectUri}?\n`)
      ),
      Stream.takeUntil((taken) => taken),
      Stream.runDrain,
      Effect.ignore,
      Effect.forkScoped
    )
  })

/** Writes to standard error. If nobody reads there any more, the login goes on all the same. */
const stderr = Effect.map(
  Stdio.Stdio,
  (stdio) => (text: string) => Effect.ignore(Stream.run(Stream.make(text), stdio.stderr()))
)

const secondsLeft = (expiresAt: DateTime.Utc) =>
  Effect.map(Clock.currentTimeMillis, (now) => Math.max(0, Math.ceil((DateTime.toEpochMillis(expiresAt) - now) / 1000)))

const minutes = (seconds: number) => `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")} minutes`

const eraseLine = "\r\u001b[K"

/** A URI, not cut, since it would not work then; and in ASCII, since letters of other scripts can look like another host's. */
const printableUri = (uri: string) => (/^[\u0021-\u007e]*$/.test(uri) ? uri : (URL.parse(uri)?.href ?? printable(uri)))

/** JSON escapes what a terminal obeys below U+0020; the rest of what {@link printable} strips is escaped here. */
const event = (fields: Readonly<Record<string, string | number | undefined>>) =>
  JSON.stringify(fields).replace(
    /[\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`
  ) + "\n"
