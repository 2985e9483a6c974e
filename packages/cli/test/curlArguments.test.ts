/** What curl's own options could do with the token; that curl does it where it is let is in programs.test.ts. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { check, checkRedirects, isPlain } from "../src/curlArguments.ts"

const here = "http://localhost:8080/"

/** The sentence that each of these is refused with. */
const refused = (message: RegExp, ...all: ReadonlyArray<ReadonlyArray<string>>) =>
  Effect.forEach(all, (args) =>
    Effect.map(Effect.flip(check(args)), (error) => assert.match(error.message, message, args.join(" ")))
  )

describe("curl's arguments", () => {
  it.effect("a redirect takes no header but Authorization along: with another one none is followed", () =>
    Effect.gen(function* () {
      for (const option of ["-L", "-sSL", "-fLo", "-Lsx", "--location", "--LOCATION", "--follow"]) {
        const args = ["https://api.example", option, "x"]
        const error = yield* Effect.flip(checkRedirects(args, ["Authorization", "X-Api-Key"]))
        assert.match(error.message, /would send X-Api-Key to every host/)
        const certified = yield* Effect.flip(checkRedirects(args, ["Authorization", "the client's certificate"]))
        assert.match(certified.message, /would send the client's certificate to every host/)
        yield* checkRedirects(args, ["Authorization"])
        yield* check(args)
      }
      yield* checkRedirects(["https://api.example", "-oL", "-sHL:x", "--local-port", "1"], ["X-Api-Key"])
    })
  )

  it.effect("it is trusted with all headers by nobody, however the option is spelled", () => {
    const spelled = ["--location-trusted", "--location-t", "--Location-Trusted"]
    return refused(/with --location-trusted/, ...spelled.map((option) => ["https://api.example", option]))
  })

  it.effect("no file of curl's says what was not looked at", () => {
    const spelled = ["-K", "-sK", "-Kfile", "--config", "--conf", "--config=file", "--expand-config"]
    return refused(/a configuration file of curl's/, ...spelled.map((option) => [option, "file"]))
  })

  it.effect("to this machine in clear there is one way", () =>
    Effect.gen(function* () {
      const detours = [
        ["-x", "http://proxy.example"],
        ["-sSx", "proxy.example"],
        ["-xproxy.example"],
        ["--proxy", "http://127.0.0.1:3128"],
        ["--preproxy", "socks5://proxy.example"],
        ["--socks5-hostname", "proxy.example"],
        ["--noproxy", ""],
        ["--nop", ""],
        ["--connect-to", "::api.example:"],
        ["--resolve", "localhost:8080:192.0.2.1"]
      ]
      yield* refused(/over plain http the token does not leave/, ...detours.map((detour) => [here, ...detour]))
      for (const detour of detours) {
        yield* check(["https://api.example", ...detour])
        assert.isFalse(isPlain(["https://api.example", ...detour]))
      }
    })
  )

  it.effect("beside an address of plain http each stands there as it is", () =>
    Effect.gen(function* () {
      const unseen = [
        ["--no-gl", "{a,http://api.example}"],
        ["--proto-default", "http", "api.example"],
        ["--expand-url", "{{x}}"],
        ["--url", "@file"],
        ["--url=@file"]
      ]
      yield* refused(/others that do not stand there/, ...unseen.map((names) => [here, ...names]))
      for (const names of unseen) yield* check(["https://api.example", ...names])
      yield* check([here, "-d", "@file", "-g"])
    })
  )

  it.effect("curl's input is the header's", () =>
    refused(
      /standard input is taken/,
      ["-d", "@-"],
      ["--data-binary=@-"],
      ["-F", "a=<-"],
      ["-F", "a=@-;type=text/plain"],
      ["-T", "-"],
      ["-T-"],
      ["-sT-"],
      ["-sT", "."],
      ["--upload-file", "-"]
    )
  )

  it("http is for this machine alone, and only where nothing else can be read", () => {
    for (const url of [here, "http://127.0.0.1", "HTTP://127.1.2.3:80/[1-3]?a#b", "http://[::1]:1/", `--url=${here}`]) {
      assert.isTrue(isPlain([url, "-d", '{"callback":"http://api.example/"}', "-H", "Accept:text/plain"]), url)
    }
    for (const url of [
      "http://api.example/",
      "http://localhost:x@api.example/",
      "http://localhost@api.example/",
      "http://127.0.0.1\\@api.example/",
      "http://127.0.0.1.example/",
      "http://127.0.0.300/",
      "http://localhost{,.example}/",
      "http://localhost:80{,@api.example}/",
      "http:/api.example",
      "HTTP:api.example"
    ]) {
      assert.isFalse(isPlain([url]), url)
      assert.isFalse(isPlain([here, url]), url)
    }
  })
})
