/** How a login reaches the person it asks. Loaded when somebody signs in, and at no other time. */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Browser from "@keyfob/node/Browser"
import * as LoopbackReceiver from "@keyfob/node/LoopbackReceiver"
import * as TerminalPrompt from "@keyfob/node/TerminalPrompt"
import type { Globals } from "./globals.ts"

/** What the command line says about the person's browser. */
export interface Screen {
  /** The command that opens a page. */
  readonly browser: string | undefined
  /** Whether pages are opened at all; their address is shown in any case. */
  readonly opens: boolean
  /** The port of the redirect URI; 0 is any. */
  readonly redirectPort: number
}

export const make = ({ color, output }: Globals, { browser: command, opens, redirectPort }: Screen) => {
  const browser = Browser.make({ command })
  const options = opens ? { browser } : {}
  return {
    browserAtHand: opens ? browser.isAtHand : Effect.succeed(false),
    layer: Layer.merge(
      output === "json" ? TerminalPrompt.layerJson(options) : TerminalPrompt.layer({ color, ...options }),
      LoopbackReceiver.layer({ ports: [redirectPort] })
    )
  }
}
