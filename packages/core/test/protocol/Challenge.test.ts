import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as Challenge from "../../src/protocol/Challenge.ts"

const parsed = (header: string) => Challenge.parse(header).map(({ params, scheme }) => [scheme, { ...params }])

describe("Challenge", () => {
  it.each([
    ["", []],
    ["Bearer", [["bearer", {}]]],
    ['Bearer realm="example"', [["bearer", { realm: "example" }]]],
    [
      'Bearer realm="example", error="invalid_token", error_description="The access token expired"',
      [["bearer", { realm: "example", error: "invalid_token", error_description: "The access token expired" }]]
    ],
    [
      'Basic realm="a, Bearer error=\\"x\\"", Bearer error=insufficient_scope, scope="a b"',
      [
        ["basic", { realm: 'a, Bearer error="x"' }],
        ["bearer", { error: "insufficient_scope", scope: "a b" }]
      ]
    ],
    [
      'Newauth realm="apps", type=1, title="Login to \\"apps\\"", Basic realm="simple"',
      [
        ["newauth", { realm: "apps", type: "1", title: 'Login to "apps"' }],
        ["basic", { realm: "simple" }]
      ]
    ],
    [
      'Negotiate abc123==, NTLM, DPoP algs="ES256"',
      [
        ["negotiate", {}],
        ["ntlm", {}],
        ["dpop", { algs: "ES256" }]
      ]
    ],
    ['bearer ERROR = "x" ,, ,scope = y', [["bearer", { error: "x", scope: "y" }]]],
    ['Bearer error="first", error="second"', [["bearer", { error: "first" }]]],
    ['Bearer __proto__="x", constructor="y"', [["bearer", JSON.parse('{"__proto__":"x","constructor":"y"}')]]],
    [
      'Bearer error="never closed',
      [
        ["bearer", {}],
        ["error", {}]
      ]
    ],
    ['realm="no scheme"', [["realm", {}]]],
    ["<html>", []]
  ])("%j", (header, expected) => {
    assert.deepStrictEqual(parsed(header), expected as ReturnType<typeof parsed>)
  })

  it("names no parameter that is not there", () => {
    const [challenge] = Challenge.parse("Bearer")
    assert.isUndefined(challenge?.params["toString"])
    assert.isUndefined(challenge?.params["constructor"])
  })

  it.prop("any text is read to an end", [Schema.String], ([text]) => {
    assert.isArray(Challenge.parse(text))
  })

  const Piece = Schema.Literals([
    "Bearer",
    " ",
    ",",
    "=",
    '"',
    "\\",
    'error="invalid_token"',
    "abc==",
    "\t",
    "realm=x",
    "é",
    "\n"
  ])
  it.prop("any pile of pieces of challenges is read to an end", [Schema.Array(Piece)], ([pieces]) => {
    for (const { params, scheme } of Challenge.parse(pieces.join(""))) {
      assert.match(scheme, /^[^\s,="]+$/)
      for (const [name, value] of Object.entries(params)) {
        assert.strictEqual(name, name.toLowerCase())
        assert.isString(value)
      }
    }
  })

  it("a long one takes no longer than its length asks for", () => {
    for (const part of ["a", "a ", "a=", "=", '"', "\\", ",", "Bearer ", 'x="', "\t "]) {
      assert.isArray(Challenge.parse(`Bearer ${part.repeat(20_000)}`))
    }
  })
})
