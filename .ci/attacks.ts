/**
 * docs/security.md: attacks, the check that stops each, and the test that fails where the check is gone.
 *
 *     node .ci/attacks.ts [--check]       --check: fail where a check or a test is gone or the page is of others
 *     node .ci/attacks.ts --remove [WORD] takes out one check after the other (whose test has WORD in its title), and sees
 *                                         its test fail: some minutes, in a clean checkout, since the source is changed meanwhile
 */
import { spawnSync } from "node:child_process"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { finish, lineOf, linkToTest, root } from "./shown.ts"

/** When every check was last taken out, and how many they were. */
const removed = { on: "2026-11-26", count: 55 }

const core = "packages/core/src"
const node = "packages/node/src"
const tests = "packages/core/test"
const curlArguments = "packages/cli/src/curlArguments.ts"
const curlTest = "packages/cli/test/curlArguments.test.ts"
const receiver = "packages/node/test/LoopbackReceiver.test.ts"
const authorizationCode = `${tests}/flow/AuthorizationCode.test.ts`

interface Row {
  readonly attack: string
  /** The code that stops it, whole within one line, and what stands there once the check is out. */
  readonly check: readonly [file: string, code: string, without: string]
  /** What stands in the title of its test, in the source and as it runs. */
  readonly test: readonly [file: string, title: string]
}

const attacks: Readonly<Record<string, ReadonlyArray<Row>>> = {
  "Authorization code injection": [
    {
      attack:
        "A stolen code is put into the victim's own answer: the code is bound to the request by a proof key of its own.",
      check: [
        `${core}/protocol/Pkce.ts`,
        "Effect.flatMap(random, (verifier)",
        'Effect.flatMap(Effect.succeed(Redacted.make("A".repeat(43))), (verifier)'
      ],
      test: [authorizationCode, "attack: code injection, somebody else's code with one's own state"]
    },
    {
      attack: "The same at a provider that does not look at the proof key: the ID token has another request's nonce.",
      check: [`${core}/protocol/Jwt.ts`, "claims.nonce !== expected.nonce", "false"],
      test: [authorizationCode, "attack: code injection where the provider does not look at the proof key"]
    },
    {
      attack: "A second code is added to the answer, and somebody else reads the other one.",
      check: [`${core}/protocol/AuthorizationResponse.ts`, "parameters.getAll(name).length > 1", "false"],
      test: [authorizationCode, "attack: a parameter given twice"]
    },
    {
      attack: "A token comes in front, in the answer itself, where nothing binds it to the request.",
      check: [`${core}/protocol/AuthorizationResponse.ts`, "if (parameters.has(name))", "if (false)"],
      test: [authorizationCode, "an access token in front"]
    }
  ],
  "Mix-up": [
    {
      attack: "Another provider answers, so that its token endpoint is given the code (RFC 9207).",
      check: [`${core}/protocol/AuthorizationResponse.ts`, "iss !== null && iss !== issuer", "false"],
      test: [authorizationCode, "mix-up: another issuer answers (RFC 9207)"]
    },
    {
      attack: "The answer leaves out who it is from, though the provider promises to say it.",
      check: [
        `${core}/protocol/AuthorizationResponse.ts`,
        "metadata.authorization_response_iss_parameter_supported === true",
        "false"
      ],
      test: [authorizationCode, "mix-up: no issuer, though one is promised"]
    },
    {
      attack: "What was begun at one provider is completed at another.",
      check: [`${core}/protocol/AuthorizationResponse.ts`, "pending.issuer !== issuer", "false"],
      test: [authorizationCode, "attack: mix-up, what was begun at one provider"]
    },
    {
      attack: "A discovery document states somebody else's issuer.",
      check: [`${core}/protocol/Discovery.ts`, "if (metadata.issuer !== issuer)", "if (false)"],
      test: [`${tests}/protocol/Discovery.test.ts`, "A-52 asked for "]
    }
  ],
  "Cross-site request forgery on the callback": [
    {
      attack: "The victim's browser brings the answer to the attacker's login, to sign the victim in as the attacker.",
      check: [`${core}/protocol/AuthorizationResponse.ts`, "!isTo(pending.state, answer)", "false"],
      test: [authorizationCode, "C-18 attack: CSRF"]
    },
    {
      attack: "A page sends answers to the port of a login that goes on, to end it.",
      check: [`${node}/LoopbackReceiver.ts`, "!expected.recognizes(text)", "false"],
      test: [receiver, "a wrong state"]
    },
    {
      attack: "A script, an image or a frame of some page asks the port.",
      check: [`${node}/LoopbackReceiver.ts`, '(headers["sec-fetch-dest"] ?? "document") !== "document"', "false"],
      test: [receiver, "attack: a script's request"]
    },
    {
      attack: "A page posts a form across sites where no form is waited for.",
      check: [`${node}/LoopbackReceiver.ts`, 'method !== "GET" && !isForm', "false"],
      test: [receiver, "attack: a cross-site form"]
    }
  ],
  "PKCE downgrade": [
    {
      attack: "Metadata that offers `plain` alone, or no method, takes the proof away (RFC 9700 section 2.1.1).",
      check: [`${core}/protocol/AuthorizationRequest.ts`, "yield* demandS256(metadata)", ""],
      test: [authorizationCode, "attack: PKCE downgrade"]
    },
    {
      attack: "The request goes out with the verifier for all to read, as `plain` has it.",
      check: [
        `${core}/protocol/Pkce.ts`,
        "Effect.map(challengeOf(verifier), (challenge)",
        "Effect.map(Effect.succeed(Redacted.value(verifier)), (challenge)"
      ],
      test: [authorizationCode, "draws from the WebCrypto reference"]
    }
  ],
  "Open redirect and server-side request forgery through metadata": [
    {
      attack:
        "Metadata sends the person's browser, or a request with credentials, to another scheme or over plain http.",
      check: [
        `${core}/protocol/Discovery.ts`,
        "url === null || !isSecure(url) || !mayName",
        "url === null || !mayName"
      ],
      test: [`${tests}/protocol/Discovery.test.ts`, " must be https"]
    },
    {
      attack: "Metadata of a provider on the network names an endpoint on this machine, in any of the ways to say so.",
      check: [`${core}/protocol/Reach.ts`, '"127.0.0.0/8"', ""],
      test: [`${tests}/protocol/Discovery.test.ts`, "X-17 a public issuer must not name"]
    },
    {
      attack:
        "It names one in a network of ours, in any of the ways to say so: an address where clouds tell a machine its secrets, say.",
      check: [`${core}/protocol/Discovery.ts`, "!mayName(issuer.hostname, url.hostname)", "false"],
      test: [`${tests}/protocol/Discovery.test.ts`, "attack: an endpoint in another network than the issuer's"]
    },
    {
      attack: "The aliases for clients with a certificate (RFC 8705 section 5) do what the endpoints may not.",
      check: [`${core}/protocol/Discovery.ts`, "[...Object.entries(metadata), ...aliases]", "Object.entries(metadata)"],
      test: [
        `${tests}/protocol/OAuthClient.test.ts`,
        "X-17 no credential is sent to a provider whose document is not safe"
      ]
    },
    {
      attack: "A device flow's answer sends the person to another scheme, or over plain http.",
      check: [`${core}/protocol/DeviceAuthorization.ts`, "url !== null && isSecure(url)", "url !== null"],
      test: [`${tests}/protocol/DeviceAuthorization.test.ts`, "a person is not sent to "]
    },
    {
      attack: "A redirect URI smuggles a fragment, behind which a browser hides the answer.",
      check: [`${core}/protocol/AuthorizationRequest.ts`, 'options.redirectUri.includes("#")', "false"],
      test: [authorizationCode, "a redirect URI that is none"]
    }
  ],
  "Algorithm confusion": [
    {
      attack: "A token is signed by HMAC, with what everybody can read as the secret, and the caller's list allows it.",
      check: [
        `${core}/protocol/Jwt.ts`,
        "asymmetric.filter((algorithm) => algorithms.includes(algorithm))",
        "[...algorithms]"
      ],
      test: [`${tests}/protocol/Jwt.test.ts`, "R9 refuses HS256 even with an oct key"]
    },
    {
      attack: "The token, not the caller, chooses the algorithm.",
      check: [`${core}/protocol/Jwt.ts`, "await compactVerify(jwt, key, options)", "await compactVerify(jwt, key)"],
      test: [`${tests}/protocol/Jwt.test.ts`, "R9 refuses an algorithm that is not on the caller's list"]
    },
    {
      attack: "The provider's public set holds a symmetric key, which is no secret any more.",
      check: [`${core}/protocol/Jwks.ts`, 'key["kty"] !== "oct" && ', ""],
      test: [`${tests}/protocol/Jwks.test.ts`, "symmetric keys, keys for encryption"]
    }
  ],
  "Keys that a token brings or names": [
    {
      attack:
        "`kid` injection: a path, a query or a prototype's member instead of a name. A kid is compared, and nothing else.",
      check: [`${core}/protocol/Jwt.ts`, "payloadWith(keyFinder(keys))", "payloadWith(keys.keys[0])"],
      test: [`${tests}/protocol/Jwt.test.ts`, "A-50 a kid is compared and nothing else"]
    },
    {
      attack:
        "The token's own header brings the key (`jwk`), or says where it is (`jku`, `x5u`). The provider's keys alone count. Without the check `jwk` is believed; there is no code that would fetch the others.",
      check: [
        `${core}/protocol/Jwt.ts`,
        "payloadWith(keyFinder(keys))",
        'payloadWith((await import("jose")).EmbeddedJWK)'
      ],
      test: [`${tests}/protocol/Jwt.test.ts`, "R9 ignores a key that the token brings itself"]
    }
  ],
  Replay: [
    {
      attack: "An ID token of an earlier login is replayed in a later one.",
      check: [`${core}/protocol/Jwt.ts`, "claims.nonce !== expected.nonce", "false"],
      test: [authorizationCode, "a replayed ID token belongs to no later login"]
    },
    {
      attack: "An ID token without a nonce, which any login could have brought.",
      check: [
        `${core}/protocol/Jwt.ts`,
        "claims.nonce !== expected.nonce",
        "(claims.nonce ?? expected.nonce) !== expected.nonce"
      ],
      test: [authorizationCode, "a nonce is missing"]
    },
    {
      attack: "Nonce reuse: two requests have the same, and either takes the other's ID token.",
      check: [`${core}/protocol/AuthorizationRequest.ts`, "? yield* Pkce.random", '? Redacted.make("A".repeat(43))'],
      test: [authorizationCode, "has state, nonce and challenge of its own each time"]
    },
    {
      attack: "A token that has ended is shown again.",
      check: [`${core}/protocol/Jwt.ts`, "now >= claims.exp + tolerance", "false"],
      test: [`${tests}/protocol/Jwt.test.ts`, "to the millisecond: exp"]
    },
    {
      attack: "A renewal brings somebody else's ID token.",
      check: [`${core}/session/Renewal.ts`, 'claims["sub"] !== account.sub', "false"],
      test: [`${tests}/session/Renewal.test.ts`, "about somebody else: refused before anybody could use it"]
    },
    {
      attack:
        "The same with a forged one: a second process takes the token beside it while its signature is being checked.",
      check: [
        `${core}/session/Renewal.ts`,
        "next.token)) yield* commit(slot, held)",
        "next.token)) yield* commit(slot, next)"
      ],
      test: [`${tests}/session/Renewal.test.ts`, "is verified after the rotation is safe, and before anybody can use"]
    },
    {
      attack: "An ID token comes with an access token that is not its own (`at_hash`).",
      check: [`${core}/protocol/Jwt.ts`, "claims.at_hash !== hash", "false"],
      test: [`${tests}/protocol/Jwt.test.ts`, "at_hash ties it to its access token"]
    }
  ],
  "Tokens that serve whoever steals them": [
    {
      attack:
        "A provider, or somebody on the way, answers with a token that is bound to no key where that was asked for.",
      check: [`${core}/protocol/TokenEndpoint.ts`, "key === undefined ? Success : BoundSuccess", "Success"],
      test: [`${tests}/protocol/Dpop.test.ts`, "a token that is not bound to the key is refused"]
    },
    {
      attack: "The same with a certificate: its binding is left out of a JWT.",
      check: [`${core}/protocol/ClientCertificate.ts`, "? certificateBoundAccessTokens === true", "? false"],
      test: [`${tests}/protocol/TokenEndpoint.test.ts`, "attack: a JWT whose binding is"]
    },
    {
      attack: "The same with a token that is opaque, so that its binding does not show.",
      check: [`${core}/session/SignIn.ts`, "yield* Introspection.confirmBinding(client, granted.token)", ""],
      test: ["packages/embedded/test/MutualTls.test.ts", "attack: a provider that binds nothing, where bound tokens"]
    },
    {
      attack: "Who ends TLS presents a certificate of their own, and the token is bound to that.",
      check: [`${core}/protocol/ClientCertificate.ts`, "bound !== certificate.thumbprint", "false"],
      test: [
        "packages/embedded/test/MutualTls.test.ts",
        "attack: somebody on the way who presents a certificate of their own"
      ]
    }
  ],
  "Redirects followed with credentials": [
    {
      attack:
        "A provider's endpoint answers with a redirect, and a client secret or refresh token would go to where it points.",
      check: [`${core}/protocol/HttpExchange.ts`, "status === 0 || (status >= 300 && status < 400)", "false"],
      test: [`${tests}/protocol/HttpExchange.test.ts`, " is refused and nothing is sent to where it points"]
    },
    {
      attack: "The same with `fetch`, which follows by itself before anybody sees the redirect.",
      check: [`${core}/protocol/HttpExchange.ts`, '{ redirect: "manual" }', '{ redirect: "follow" }'],
      test: [`${tests}/protocol/HttpExchange.test.ts`, "X-14 the fetch client is told not to follow redirects"]
    },
    {
      attack: "An API redirects a request with a token to an origin that may not see it.",
      check: [
        `${core}/session/AuthorizedHttpClient.ts`,
        "origin === undefined || !origins.has(origin)",
        "origin === undefined"
      ],
      test: [`${tests}/session/AuthorizedHttpClient.test.ts`, "%s does not, and nobody is asked for one"]
    },
    {
      attack: "The same with `fetch`, which would take the token along.",
      check: [`${core}/session/AuthorizedHttpClient.ts`, 'redirect: "manual"', ""],
      test: [`${tests}/session/AuthorizedHttpClient.test.ts`, "fetch follows no redirect with it"]
    }
  ],
  "The port that waits for the answer": [
    {
      attack: "DNS rebinding: a page's own name is made to mean this machine, and its scripts are of the same origin.",
      check: [`${node}/LoopbackReceiver.ts`, '!authorities.includes(headers.host ?? "")', "false"],
      test: [receiver, "attack: DNS rebinding"]
    },
    {
      attack:
        "Another program listens on the loopback address of the other family, where the browser may go (RFC 8252 section 8.3).",
      check: [`${node}/LoopbackPort.ts`, "} else if (!isMissing(failure)) {", "} else if (false) {"],
      test: [receiver, "a port that somebody has at the other address"]
    }
  ],
  "Token in a referrer": [
    {
      attack: "The page that the browser ends at tells the next one its address, code and all.",
      check: [`${node}/LandingPage.ts`, '"referrer-policy": "no-referrer",', ""],
      test: [receiver, "attack: token in a referrer"]
    },
    {
      attack: "The code stays in the browser's address bar and history.",
      check: [`${node}/LandingPage.ts`, 'history.replaceState(null,"",location.pathname)', ""],
      test: [receiver, "attack: token in a referrer"]
    },
    {
      attack: "A token stands in an address, and so in referrers and the logs of servers.",
      check: [
        `${core}/protocol/OAuthClient.ts`,
        "HttpClientRequest.get(url).pipe(",
        "HttpClientRequest.get(`${url}?access_token=${Redacted.value(token.value)}`).pipe("
      ],
      test: [`${tests}/protocol/OAuthClient.test.ts`, "a bearer token goes into the header and nowhere else"]
    }
  ],
  "Answers and requests that are too large or too slow": [
    {
      attack: "An answer without an end fills the memory.",
      check: [`${core}/protocol/HttpExchange.ts`, "if (size > most) return Effect.fail(tooLarge())", ""],
      test: [`${tests}/protocol/HttpExchange.test.ts`, "X-15 X-22 one byte more is too large"]
    },
    {
      attack: "A provider that never answers, or drips, holds a caller for ever.",
      check: [`${core}/protocol/HttpExchange.ts`, "Effect.timeout(attemptTimeout)", 'Effect.timeout("1 day")'],
      test: [`${tests}/protocol/HttpExchange.test.ts`, "is given up after 15 seconds"]
    },
    {
      attack: "A `Retry-After` of years holds a caller for as long.",
      check: [
        `${core}/protocol/HttpExchange.ts`,
        "if (Duration.isGreaterThan(asked, longestRetryAfter)) return yield* failure",
        ""
      ],
      test: [`${tests}/protocol/HttpExchange.test.ts`, " fails at once instead of waiting, and says how long"]
    },
    {
      attack: "Tokens with unknown keys, in a flood, have us ask the provider for its keys each time.",
      check: [
        `${core}/protocol/Jwks.ts`,
        "resting || (freshWillDo && now < freshUntil)",
        "freshWillDo && now < freshUntil"
      ],
      test: [`${tests}/protocol/Jwks.test.ts`, "R9 a flood of tokens with unknown keys"]
    },
    {
      attack: "A form without an end is posted to the port.",
      check: [
        `${node}/LoopbackReceiver.ts`,
        "else if (length - chunk.length <= longestForm) use(undefined)",
        "else chunks.push(chunk)"
      ],
      test: [receiver, "takes a form where one is waited for"]
    },
    {
      attack: "Silent connections use up the port's sockets.",
      check: [`${node}/LoopbackReceiver.ts`, "if (sockets.size > mostSockets) oldest?.destroy()", ""],
      test: [receiver, "attack: of many silent callers"]
    }
  ],
  "The token taken elsewhere by curl": [
    {
      attack:
        "A redirect leads to somebody else's host: no header but `Authorization`, which curl keeps to itself, is sent where one is followed.",
      check: [curlArguments, "others.length === 0 || !args.some(isFollowing)", "true"],
      test: [curlTest, "a redirect takes no header but Authorization along"]
    },
    {
      attack: "A proxy that the environment or an option names reads what goes to this machine in clear.",
      check: [curlArguments, "isPlain(args) && args.some(isDetour)", "false"],
      test: [curlTest, "to this machine in clear there is one way"]
    },
    {
      attack:
        "An address looks like this machine's and is another's (`http://localhost:x@evil.example/`): https alone is spoken.",
      check: [curlArguments, "(:\\d+)?([/?#]|$)/i.test(arg)", "/i.test(arg)"],
      test: [curlTest, "http is for this machine alone"]
    },
    {
      attack: "Beside an address of this machine, a glob, a variable or a file has another in it, for plain http too.",
      check: [curlArguments, "isPlain(args) && namesUnseen(args)", "false"],
      test: [curlTest, "beside an address of plain http"]
    }
  ]
}

/** Where a check is: the function that its line stands in. */
const linkToCheck = ([file, code]: Row["check"]) => {
  const { before, line } = lineOf(file, code)
  // Of two, the one that is taken out may be the one that no test is for.
  if (readFileSync(join(root, file), "utf8").split(code).length > 2) throw new Error(`twice in ${file}: ${code}`)
  const declared = before.map((text) => /^(?:export )?const (\w+)/.exec(text)?.[1]).filter((name) => name !== undefined)
  return `[\`${declared.at(-1)}\` in ${file.replace(/^.*\//, "")}](../${file}#L${line})`
}

const row = ({ attack, check, test: [file, title] }: Row) =>
  `| ${attack} | ${linkToCheck(check)} | ${linkToTest(file, title)} |`

const text = `# Attacks

What somebody may try, where Keyfob stops it, and the test that fails where that is gone. \`npm run attacks\` takes out one check after the other, and runs
its test. It last did so for all on ${removed.on}: there were ${removed.count} rows, and each row's test failed. Where nothing is checked but something is never done (no
key is taken from a token, no token goes into an address), it is done instead. This page is made by \`npm run docs:security\`.
${Object.entries(attacks)
  .map(
    ([name, rows]) => `
## ${name}

| attack | stopped by | shown by |
|---|---|---|
${rows.map(row).join("\n")}
`
  )
  .join("")}`

/** The tests that failed, of those that ran, without the check. */
const without = ({ check: [file, code, replacement], test: [testFile, title] }: Row, directory: string) => {
  const path = join(root, file)
  const source = readFileSync(path, "utf8")
  const report = join(directory, "report.json")
  const name = title.replace("%s", "").replaceAll(/[.*+?^${}()|[\]\\]/g, "\\$&")
  try {
    writeFileSync(
      path,
      source.replace(code, () => replacement)
    )
    const options = ["run", "--config", ".ci/vitest.config.ts", "--reporter", "json", "--outputFile", report]
    spawnSync("vitest", [...options, testFile, "-t", name], { cwd: root })
    const { numFailedTests, numPassedTests } = JSON.parse(readFileSync(report, "utf8"))
    return { failed: Number(numFailedTests), ran: Number(numFailedTests) + Number(numPassedTests) }
  } finally {
    writeFileSync(path, source)
    rmSync(report, { force: true })
  }
}

if (process.argv.includes("--remove")) {
  const directory = mkdtempSync(join(tmpdir(), "keyfob-attacks-"))
  const word = process.argv[3] ?? ""
  for (const one of Object.values(attacks)
    .flat()
    .filter(({ test: [, title] }) => title.includes(word))) {
    const { failed, ran } = without(one, directory)
    console.log(`${failed > 0 ? "fails " : "HOLDS "} ${failed} of ${ran}: ${one.test[1]} (without ${one.check[1]})`)
    if (failed === 0) process.exitCode = 1
  }
  rmSync(directory, { recursive: true })
} else finish("docs/security.md", "docs:security", text)
