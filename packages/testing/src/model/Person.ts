/** What a person does when the provider asks them to sign in. */
export interface Script {
  readonly decision: "approve" | "deny" | "ignore"
  /** Their subject at the provider. */
  readonly person: string
  /** Since when they act like this. */
  readonly since: number
  /** Milliseconds they take: from the request, or from `since` where that is later. */
  readonly after: number
  /** How many polls of a device code they let pass before they act, at least. */
  readonly polls: number
  /** How often they mistype their password first; each time costs `after` again. */
  readonly wrongPasswords: number
  /** The scopes they consent to, among those asked for. Default: all. */
  readonly scopes?: ReadonlyArray<string>
}

/** Whether a person who was asked at `askedAt` and let `polls` go by has acted by `now`. */
export const hasActed = (script: Script, askedAt: number, polls: number, now: number): boolean =>
  script.decision !== "ignore" &&
  polls >= script.polls &&
  now >= Math.max(askedAt, script.since) + script.after * (1 + script.wrongPasswords)

/** What they consent to of what was asked. */
export const consented = (script: Script, asked: ReadonlyArray<string>): ReadonlyArray<string> => {
  const { scopes } = script
  return scopes === undefined ? asked : asked.filter((scope) => scopes.includes(scope))
}
