/**
 * Refuses arguments of curl's that would send the token where it does not belong. Nothing is parsed: an option is found
 * wherever curl might see one.
 */
import * as Effect from "effect/Effect"
import { UsageError } from "./failure.ts"

type Arguments = ReadonlyArray<string>

/** Fails where curl would read its standard input (the header comes there), a configuration we have not seen, or send the token elsewhere. */
export const check = Effect.fnUntraced(function* (args: Arguments) {
  if (readsInput(args)) {
    return yield* new UsageError({
      message: "curl's standard input is taken: the header comes that way",
      remedy: "Give what is to be sent as a file: --data @FILE"
    })
  }
  if (args.some(isConfig)) {
    return yield* new UsageError({
      message: "a configuration file of curl's could send the token anywhere",
      remedy: "Give what is in it behind the --"
    })
  }
  if (args.some(isTrusting)) {
    return yield* new UsageError({
      message: "with --location-trusted the token goes to every host that a redirect names",
      remedy: "Follow with --location, or give the address that the redirect names"
    })
  }
  if (isPlain(args) && args.some(isDetour)) {
    return yield* new UsageError({
      message:
        "over plain http the token does not leave this machine: it goes through no proxy, and to no other address",
      remedy: "Leave --proxy, --noproxy, --resolve and --connect-to out, or ask by https"
    })
  }
  if (isPlain(args) && namesUnseen(args)) {
    return yield* new UsageError({
      message: "beside an address of plain http curl would read others that do not stand there",
      remedy: "Give each address as it is: without --no-globoff, --proto-default, --expand-… and --url @FILE"
    })
  }
})

/**
 * curl keeps `Authorization` alone from other hosts that a redirect names (CVE-2018-1000007).
 *
 * @param carried headers by their names, and what else a request has of the provider's
 */
export const checkRedirects = Effect.fnUntraced(function* (args: Arguments, carried: ReadonlyArray<string>) {
  const others = carried.filter((name) => name.toLowerCase() !== "authorization")
  if (others.length === 0 || !args.some(isFollowing)) return
  return yield* new UsageError({
    message: `curl would send ${others.join(" and ")} to every host that a redirect names`,
    remedy: "Leave --location out, and give the address that the redirect names"
  })
})

/** Whether there are http addresses, all of them of this machine. */
export const isPlain = (args: Arguments) => {
  const asked = args.filter((_, index) => !isDetour(args[index - 1] ?? ""))
  return asked.some(isOfThisMachine) && !asked.some(isPlainElsewhere)
}

// A name and a password before an @ would make another host of it.
const isOfThisMachine = (arg: string) =>
  /^(--url=)?http:\/\/(localhost|127(\.(25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)){3}|\[::1\])(:\d+)?([/?#]|$)/i.test(arg)

const isPlainElsewhere = (arg: string) => /^(--url=)?http:/i.test(arg) && !isOfThisMachine(arg)

/** Finds an option by the beginning of its name, which curl takes abbreviated and in any case, or by its letter, alone or in a cluster. */
const option = (name: RegExp, letter?: string) => (arg: string) =>
  name.test(arg) || (letter !== undefined && new RegExp(`^-[^-${takingValues}]*${letter}`).test(arg))

// What follows one of these in a cluster is its value.
const takingValues = "AbcCdDeEFHKmoPQrtTuUwxXyYz"

const isConfig = option(/^--(expand-)?conf/i, "K")
const isTrusting = option(/^--location-/i)
const isFollowing = option(/^--(locat|foll)/i, "L")
const isDetour = option(/^--(expand-)?(prox|pre|soc|nop|res|connect-to)/i, "x")

const isExpanding = option(/^--(no-gl|expand-|proto-d)/i)

/** Whether curl would make addresses that are not in the arguments: from a glob, a bare host, a variable, or a file's lines. */
const namesUnseen = (args: Arguments) =>
  args.some(
    (arg, index) =>
      isExpanding(arg) || /^--url=@/i.test(arg) || (arg.startsWith("@") && /^--url$/i.test(args[index - 1] ?? ""))
  )

const isUpload = option(/^--upl/i, "T")

/** `@-` in any option, and `-` or `.` as the file of an upload. */
const readsInput = (args: Arguments) =>
  args.some(
    (arg, index) =>
      /[@<]-(;|$)/.test(arg) ||
      (/[T=][-.]$/.test(arg) && isUpload(arg)) ||
      (/^[-.]$/.test(arg) && isUpload(args[index - 1] ?? ""))
  )
