/** The flags that say how a person is asked to sign in; they hold for this one login. */
import * as Option from "effect/Option"
import type * as Command from "effect/cli/Command"
import * as Flag from "effect/cli/Flag"
import type { LoginRequest } from "./online.ts"

const prompts = ["none", "login", "consent", "select_account", "create"] as const
type Prompt = (typeof prompts)[number]

const isPrompt = (word: string): word is Prompt => prompts.some((prompt) => prompt === word)
const words = (text: string) => text.split(/\s+/).filter((word) => word !== "")

export const flags = {
  browser: Flag.String("browser").pipe(
    Flag.withMetavar("CMD"),
    Flag.withDescription("The command that opens the sign-in page; %s is its address [BROWSER]"),
    Flag.filter(
      (command) => command.trim() !== "",
      () => "a command"
    ),
    Flag.optional
  ),
  noBrowser: Flag.Boolean("no-browser").pipe(
    Flag.withoutNegation,
    Flag.withDescription("Open no browser; the address of the sign-in page is shown in any case"),
    Flag.withDefault(false)
  ),
  prompt: Flag.String("prompt").pipe(
    Flag.withMetavar("P"),
    Flag.withDescription(`What the provider must ask the person: ${prompts.join(", ")}`),
    Flag.filter(
      (text) => words(text).length > 0 && words(text).every(isPrompt),
      () => `one or more of ${prompts.join(", ")}`
    ),
    Flag.optional
  ),
  loginHint: Flag.String("login-hint").pipe(
    Flag.withMetavar("H"),
    Flag.withDescription("Who is about to sign in, for the provider's page: an address, a number"),
    Flag.optional
  )
}

type Given = Command.Command.Config.Infer<typeof flags>

export const requestOf = ({ browser, loginHint, noBrowser, prompt }: Given): LoginRequest => ({
  browser: Option.getOrUndefined(browser),
  opensBrowser: !noBrowser,
  ...(Option.isNone(prompt) ? {} : { prompt: words(prompt.value).filter(isPrompt) }),
  ...(Option.isNone(loginHint) ? {} : { loginHint: loginHint.value })
})
