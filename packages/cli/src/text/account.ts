/** Who signed in, for a person: the most telling of what the provider said. */
import { type Account, printable } from "keyfob"

export const accountText = (account: Account | undefined): string =>
  account === undefined ? "" : printable(account.email ?? account.name ?? account.sub)

/** As JSON has it. */
export const accountJson = (account: Account | undefined) =>
  account === undefined
    ? undefined
    : {
        sub: account.sub,
        ...(account.name === undefined ? {} : { name: account.name }),
        ...(account.email === undefined ? {} : { email: account.email })
      }
