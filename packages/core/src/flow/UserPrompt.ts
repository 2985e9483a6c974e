import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"

/** What a person needs to approve a device login (RFC 8628 section 3.3). */
export interface DeviceCodePrompt {
  readonly issuer: string
  /** The page to open. Already checked: https, or http on a loopback address. */
  readonly verificationUri: string
  /** The same page with the code filled in, where the provider gives one: for a link or a QR code. */
  readonly verificationUriComplete?: string
  /** The code to type there. */
  readonly userCode: string
  readonly expiresAt: DateTime.Utc
  /** Seconds between two questions to the provider. */
  readonly interval: number
}

/**
 * What a login asks of a person. A terminal has one (`@keyfob/node`), a web app writes its own, a test scripts it.
 */
export class UserPrompt extends Context.Service<
  UserPrompt,
  {
    /**
     * Shows the code and returns at once. What goes on while the login waits (a countdown) is forked into the scope:
     * it is closed when the login ends, whichever way.
     */
    readonly deviceCode: (prompt: DeviceCodePrompt) => Effect.Effect<void, never, Scope.Scope>
  }
>()("keyfob/UserPrompt") {}
