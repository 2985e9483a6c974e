/**
 * What the provider is told to say wrongly in its answer to one request. What is given replaces what it would have said;
 * a member that is `undefined` is left out.
 */
export interface Lie {
  /** Parameters of the answer to an authorization request, whenever it is given. */
  readonly callback?: Readonly<Record<string, string | undefined>>
  readonly idToken?: IdTokenLie
  /** Members of a JSON answer. */
  readonly members?: Readonly<Record<string, unknown>>
}

/** How an ID token is not as it should be. */
export interface IdTokenLie {
  readonly claims?: Readonly<Record<string, unknown>>
  readonly header?: { readonly kid?: string | undefined; readonly typ?: string | undefined }
  /** `broken`: one that does not fit. `none`: `alg` is `none`, and there is no signature. Default: a good one. */
  readonly signature?: "broken" | "none"
}

/** A record with other members. */
export const altered = <A>(
  record: Readonly<Record<string, A>>,
  members: Readonly<Record<string, A | undefined>> = {}
): Readonly<Record<string, A>> =>
  Object.fromEntries(
    Object.entries<A | undefined>({ ...record, ...members }).filter(
      (entry): entry is [string, A] => entry[1] !== undefined
    )
  )
