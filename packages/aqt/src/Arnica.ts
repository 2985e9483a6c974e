import * as ByteSize from "effect/ByteSize"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type * as Redacted from "effect/Redacted"
import * as Result from "effect/Result"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import * as FetchHttpClient from "effect/http/FetchHttpClient"
import * as HttpClient from "effect/http/HttpClient"
import type * as HttpClientError from "effect/http/HttpClientError"
import * as HttpClientRequest from "effect/http/HttpClientRequest"
import type * as HttpClientResponse from "effect/http/HttpClientResponse"
import {
  AuthorizedHttpClient,
  type ConfigurationInvalid,
  configuredUrl,
  HttpExchange,
  isAuthError,
  isTransient,
  type TokenSource
} from "keyfob"
import { type FinalJobState, isFinal, JobState } from "./Job.ts"
import { JobUnavailable, passes, reasonOf } from "./JobUnavailable.ts"

/** Where Arnica's API is. */
export const arnicaUrl = "https://arnica.aqt.eu/api"

/** What asking for a job can fail with. */
export type JobError = JobUnavailable | AuthorizedHttpClient.AuthorizationError

/** How to wait for a job. */
export interface WaitOptions {
  /** Between two requests, give or take half of it by chance. Default: 1 second. */
  readonly interval?: Duration.Input
  /** How often to ask before it is given up, whatever comes in between. Default: 600. */
  readonly attempts?: number
}

const requestTimeout = Duration.seconds(15)
// A result has a number for each bit of each shot of each circuit: millions of them in a large job.
const answerLimit = ByteSize.mebibytes(64)

/** Jobs at Arnica (`GET {arnica_url}/v1/result/{job_id}`). */
export class Arnica extends Context.Service<
  Arnica,
  {
    /** How a job stands now. A token that is refused is renewed, once. */
    readonly fetchJobState: (jobId: string) => Effect.Effect<JobState, JobError>
    /**
     * How it stands, again and again until it has ended: the last one says how. Trouble on the way there that passes (no
     * network, an overloaded server) is logged, and counts as an attempt.
     */
    readonly progress: (jobId: string, options?: WaitOptions) => Stream.Stream<JobState, JobError>
    /** How it has ended. */
    readonly waitForFinalState: (jobId: string, options?: WaitOptions) => Effect.Effect<FinalJobState, JobError>
  }
>()("keyfob/aqt/Arnica") {
  /** With the token of a source, which renews it. */
  static readonly layer = <E, R>(
    source: Effect.Effect<TokenSource.TokenSource, E, R>,
    options: { readonly arnicaUrl?: string } = {}
  ): Layer.Layer<Arnica, E | ConfigurationInvalid, R | HttpClient.HttpClient> =>
    Layer.effect(
      Arnica,
      Effect.gen(function* () {
        const url = yield* configuredUrl("arnica_url", options.arnicaUrl ?? arnicaUrl)
        const client = yield* AuthorizedHttpClient.make(source, { origins: [url.origin] })
        return make((location) => client.get(location), url)
      })
    )

  /** With a token that somebody was given, which nobody renews. */
  static readonly layerApiToken = (
    token: Redacted.Redacted,
    options: { readonly arnicaUrl?: string } = {}
  ): Layer.Layer<Arnica, ConfigurationInvalid, HttpClient.HttpClient> =>
    Layer.effect(
      Arnica,
      Effect.gen(function* () {
        const url = yield* configuredUrl("arnica_url", options.arnicaUrl ?? arnicaUrl)
        const client = yield* HttpClient.HttpClient
        return make(
          (location) =>
            client
              .execute(HttpClientRequest.bearerToken(HttpClientRequest.get(location), token))
              .pipe(Effect.provideService(FetchHttpClient.RequestInit, { redirect: "manual" })),
          url
        )
      })
    )
}

type Get = (
  location: string
) => Effect.Effect<
  HttpClientResponse.HttpClientResponse,
  HttpClientError.HttpClientError | AuthorizedHttpClient.AuthorizationError
>

const make = (get: Get, url: URL): Arnica["Service"] => {
  const fetchJobState = Effect.fn("keyfob.aqt.job")(function* (jobId: string): Effect.fn.Return<JobState, JobError> {
    const fail = (reason: JobUnavailable["reason"], status?: number) =>
      new JobUnavailable({ reason, jobId: shown(jobId), host: url.host, ...(status === undefined ? {} : { status }) })
    if (!isJobId(jobId)) return yield* fail("InvalidId")
    const location = `${url.origin}${url.pathname.replace(/\/$/, "")}/v1/result/${jobId}`
    const read = Effect.gen(function* () {
      const response = yield* get(location)
      if (response.status !== 200) return yield* fail(reasonOf(response.status), response.status)
      const text = yield* HttpExchange.readText(response, answerLimit, () => fail("TooLarge", 200))
      return yield* Effect.mapError(decode(text), () => fail("Malformed", 200))
    })
    return yield* read.pipe(
      Effect.catchTag("HttpClientError", () => Effect.fail(fail("Unreachable"))),
      Effect.timeoutOrElse({ duration: requestTimeout, orElse: () => Effect.fail(fail("Unreachable")) })
    )
  })

  const progress = (jobId: string, { attempts = 600, interval = "1 second" }: WaitOptions = {}) =>
    Stream.paginate(1, (attempt) =>
      Effect.gen(function* () {
        if (attempt > 1)
          yield* Effect.sleep(Duration.times(Duration.fromInputUnsafe(interval), 0.5 + (yield* Random.next)))
        const result = yield* Effect.result(fetchJobState(jobId))
        if (Result.isFailure(result) && !isPassing(result.failure)) return yield* result.failure
        if (Result.isFailure(result)) yield* Effect.logWarning(result.failure.message)
        const states = Result.isSuccess(result) ? [result.success] : []
        if (states.some(isFinal)) return [states, Option.none<number>()] as const
        if (attempt >= attempts) {
          return yield* new JobUnavailable({ reason: "NotFinished", jobId, host: url.host })
        }
        return [states, Option.some(attempt + 1)] as const
      })
    )

  return Arnica.of({
    fetchJobState,
    progress,
    waitForFinalState: (jobId, options) =>
      Effect.flatMap(Stream.runLast(Stream.filter(progress(jobId, options), isFinal)), (last) =>
        Option.match(last, {
          onNone: () => Effect.fail(new JobUnavailable({ reason: "NotFinished", jobId, host: url.host })),
          onSome: Effect.succeed
        })
      )
  })
}

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(JobState))
const isJobId = Schema.is(Schema.String.check(Schema.isUUID()))
// What is no id may be anything, a token from the clipboard too.
const shown = (jobId: string) => (isJobId(jobId) ? jobId : "")

const isPassing = (error: JobError) => (isAuthError(error) ? isTransient(error) : passes(error))
