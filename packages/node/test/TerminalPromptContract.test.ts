import { Effect, Sink, Stdio } from "effect"
import { UserPrompt } from "keyfob"
import { UserPromptContract } from "@keyfob/testing"
import * as TerminalPrompt from "../src/TerminalPrompt.ts"

/** What comes on standard error is what a person sees. */
const screen = (layer: ReturnType<typeof TerminalPrompt.layer>, isTerminal: boolean) =>
  Effect.suspend(() => {
    let shown = ""
    const stdio = Stdio.layerTest({
      stderrIsTerminal: Effect.succeed(isTerminal),
      stderr: () => Sink.forEach((chunk: string | Uint8Array) => Effect.sync(() => void (shown += String(chunk))))
    })
    return Effect.map(UserPrompt, (prompt) => ({ prompt, shown: Effect.sync(() => shown) })).pipe(
      Effect.provide(layer),
      Effect.provide(stdio)
    )
  })

UserPromptContract.suite("TerminalPrompt", screen(TerminalPrompt.layer(), false))
UserPromptContract.suite("TerminalPrompt on a terminal", screen(TerminalPrompt.layer({ color: true }), true))
UserPromptContract.suite("TerminalPrompt as JSON", screen(TerminalPrompt.layerJson(), false))
