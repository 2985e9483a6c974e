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

/**
 * When a person who was asked at `askedAt` begins to act: not before they were told to. What seems to be still to come was
 * before the clock was set back, and holds nobody up.
 */
export const beginsAt = ({ since }: Script, askedAt: number, now: number): number =>
  Math.max(...[askedAt, since].filter((at) => at <= now))

/** Whether a person who was asked at `askedAt` and let `polls` go by has acted by `now`. */
export const hasActed = (script: Script, askedAt: number, polls: number, now: number): boolean =>
  script.decision !== "ignore" &&
  polls >= script.polls &&
  now >= beginsAt(script, askedAt, now) + script.after * (1 + script.wrongPasswords)

/** What they consent to of what was asked. */
export const consented = (script: Script, asked: ReadonlyArray<string>): ReadonlyArray<string> => {
  const { scopes } = script
  return scopes === undefined ? asked : asked.filter((scope) => scopes.includes(scope))
}
