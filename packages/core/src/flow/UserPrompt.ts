import * as Context from "effect/Context"
import type * as DateTime from "effect/DateTime"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
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

/** What a person needs to approve a login in a browser (RFC 6749 section 4.1). */
export interface BrowserPrompt {
  readonly issuer: string
  /** The provider's page to open. Already checked: https, or http on a loopback address. */
  readonly url: string
  /** Where the browser comes back to. */
  readonly redirectUri: string
  /**
   * Takes what the person brings by hand where the browser could not: the address it came to, or the code in it. False
   * where it is neither, or of another login; the login goes on waiting.
   */
  readonly paste: (text: Redacted.Redacted) => Effect.Effect<boolean>
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
    /** Shows the page's address, opens it where that can be done, and returns at once. The scope is as above. */
    readonly browser: (prompt: BrowserPrompt) => Effect.Effect<void, never, Scope.Scope>
  }
>()("keyfob/UserPrompt") {}
