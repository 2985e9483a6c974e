import * as Context from "effect/Context"
import type * as Effect from "effect/Effect"
import type * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import type { LoginFailed } from "../AuthError.ts"

/** Which answer is waited for. */
export interface ExpectedRedirect {
  readonly issuer: string
  readonly responseMode: "query" | "form_post"
  /** Whether an answer (the address a browser came to, or the form it posted) is to this login. Any other is refused, and changes nothing. */
  readonly recognizes: (answer: string) => boolean
}

/** An open place for the answer. */
export interface Reception {
  /** The address to send the browser back to (RFC 6749 section 3.1.2). */
  readonly redirectUri: string
  /** The first answer that was recognized. */
  readonly answer: Effect.Effect<Redacted.Redacted>
}

/**
 * Where a browser brings the provider's answer to: a port of this machine (`@keyfob/node`), or whatever a test or another
 * platform has.
 */
export class RedirectReceiver extends Context.Service<
  RedirectReceiver,
  {
    /**
     * Opens the place. It is closed with the scope, which is the login's: how that ends is what the browser is told.
     * Fails with `LoginFailed` (`NoRedirect`) where there is none to open.
     */
    readonly open: (expected: ExpectedRedirect) => Effect.Effect<Reception, LoginFailed, Scope.Scope>
  }
>()("keyfob/RedirectReceiver") {}
