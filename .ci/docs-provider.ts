/**
 * The provider that running examples talk to: the embedded one. Pages speak of https://id.example.com; the copies that run speak of
 * this. A person is there too: whoever prints a sign-in page is approved.
 */
import { clients, EmbeddedProvider, Person } from "@keyfob/embedded"
import { Effect, Exit, Scope } from "effect"

export const start = async () => {
  const scope = await Effect.runPromise(Scope.make())
  const { issuer } = await Effect.runPromise(
    Scope.provide(EmbeddedProvider.start({ deviceInterval: "1 second" }), scope)
  )
  const approved = new Set<string>()
  return {
    issuer,
    env: { BILLING_SECRET: clients.billing.secret },
    adapt: (code: string) => code.replaceAll(/https:\/\/(id|api)\.example\.com/g, issuer),
    approve: (output: string) => {
      const page = /http:\/\/127\.0\.0\.1:\d+\/device\?user_code=[\w-]+(?=\s)/.exec(output)?.[0]
      if (page === undefined || approved.has(page)) return
      approved.add(page)
      Effect.runPromise(Person.approve(page)).catch(console.error)
    },
    stop: () => Effect.runPromise(Scope.close(scope, Exit.void))
  }
}
export type DocsProvider = Awaited<ReturnType<typeof start>>
