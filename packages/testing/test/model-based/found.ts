/** What the model found, shortened: each program broke a law until the mistake was mended, Keyfob's or the model's own. */
import type { Program } from "./Program.ts"

export interface Found {
  /** Of the random program (those of `a` and `b` had 80 steps). */
  readonly seed: string
  /** What was wrong. */
  readonly what: string
  readonly program: Program
}

export const found: ReadonlyArray<Found> = [
  {
    seed: "a/90",
    what: "a clock that is set back: the last failure was repeated, without asking anybody, for as long as the clock was wrong",
    program: {
      settings: {
        processes: 2,
        accessLifetime: 3600,
        idle: 10800,
        absolute: 7776000,
        grace: 0,
        rotation: true,
        retryAfter: 10800
      },
      steps: [
        { do: "recover", seed: 848068 },
        { do: "jump", process: 0, millis: -86400000 },
        { do: "recover", seed: 879069 }
      ]
    }
  },
  {
    seed: "b/254",
    what: "a full disk, or the page of a captive portal: callers got the failure though a token was there that served",
    program: {
      settings: {
        processes: 3,
        accessLifetime: 3600,
        idle: 1209600,
        absolute: 36000,
        grace: 30,
        rotation: true,
        retryAfter: 20
      },
      steps: [
        { do: "login", process: 0, whose: "person" },
        { do: "flow", millis: 10000, seed: 0 },
        { do: "edge", millis: -5000, seed: 0 },
        { do: "store", operation: "write", times: 5, late: false },
        { do: "ask", process: 0, whose: "person", how: "token" },
        { do: "flow", millis: 1000, seed: 522637 }
      ]
    }
  },
  {
    seed: "by hand",
    what: "a rotation that could not be saved was written over a later login whose generation had the same number",
    program: {
      settings: {
        processes: 2,
        accessLifetime: 3600,
        idle: 1209600,
        absolute: 7776000,
        grace: 0,
        rotation: true,
        retryAfter: 2
      },
      steps: [
        { do: "login", process: 0, whose: "person" },
        { do: "flow", millis: 3600000, seed: 0 },
        { do: "ask", process: 0, whose: "person", how: "token" },
        { do: "go", operations: 9, seed: 1 },
        { do: "store", operation: "write", times: 4, late: false },
        { do: "logout", process: 1, whose: "person", revoke: false },
        { do: "login", process: 1, whose: "person" },
        { do: "flow", millis: 3600000, seed: 0 },
        { do: "ask", process: 1, whose: "person", how: "token" },
        { do: "go", operations: 12, seed: 1 },
        { do: "stall", millis: 31000 },
        { do: "ask", process: 0, whose: "person", how: "token" },
        { do: "flow", millis: 61000, seed: 1 }
      ]
    }
  },
  {
    seed: "million/161",
    what: "a token that served while the store could not be read woke up an older failure, NoCredential, for five seconds",
    program: {
      settings: {
        processes: 2,
        accessLifetime: 3600,
        idle: 1209600,
        absolute: 36000,
        grace: 30,
        rotation: true,
        retryAfter: 20
      },
      steps: [
        { do: "ask", process: 1, whose: "person", how: "call" },
        { do: "login", process: 1, whose: "person" },
        { do: "flow", millis: 3420000, seed: 657709 },
        { do: "login", process: 0, whose: "person" },
        { do: "ask", process: 0, whose: "person", how: "token" },
        { do: "ask", process: 0, whose: "person", how: "call" },
        { do: "ask", process: 0, whose: "person", how: "long" },
        { do: "go", operations: 6, seed: 89285 },
        { do: "ask", process: 1, whose: "person", how: "call" },
        { do: "ask", process: 0, whose: "machine", how: "renew" },
        { do: "store", operation: "get", times: 2, late: true },
        { do: "revokeAll" },
        { do: "flow", millis: 3420000, seed: 17145 }
      ]
    }
  },
  {
    seed: "ci/108",
    what: "a Retry-After was obeyed twice as long where the clock was set back during it",
    program: {
      settings: {
        processes: 3,
        accessLifetime: 3600,
        idle: 10800,
        absolute: 7776000,
        grace: 30,
        rotation: true,
        retryAfter: 10800
      },
      steps: [
        { do: "trouble", what: "429", times: 5 },
        { do: "ask", process: 0, whose: "machine", how: "call" },
        { do: "flow", millis: 1000, seed: 880852 },
        { do: "jump", process: 0, millis: -3600000 },
        { do: "recover", seed: 423 }
      ]
    }
  },
  {
    seed: "million/779",
    what: "a refusal that a process could not write, its lease lost to a logout, was written after it: a dead credential came back",
    program: {
      settings: {
        processes: 3,
        accessLifetime: 300,
        idle: 1209600,
        absolute: 7776000,
        grace: 0,
        rotation: true,
        retryAfter: 20
      },
      steps: [
        { do: "login", process: 0, whose: "person" },
        { do: "recover", seed: 710043 },
        { do: "trouble", what: "hang", times: 4 },
        { do: "ask", process: 0, whose: "person", how: "call" },
        { do: "ask", process: 2, whose: "person", how: "token" },
        { do: "flow", millis: 1000, seed: 531961 },
        { do: "ask", process: 2, whose: "person", how: "token" },
        { do: "ask", process: 0, whose: "person", how: "call" },
        { do: "stall", millis: 61000 },
        { do: "ask", process: 0, whose: "person", how: "token" },
        { do: "go", operations: 6, seed: 678581 },
        { do: "go", operations: 6, seed: 5329 },
        { do: "pause", process: 0 },
        { do: "flow", millis: 60000, seed: 89936 },
        { do: "logout", process: 2, whose: "person", revoke: true },
        { do: "go", operations: 6, seed: 95560 },
        { do: "recover", seed: 397739 }
      ]
    }
  },
  {
    seed: "ci/422",
    what: "a device login waited for hours beyond its code's end where the clock was set back during it",
    program: {
      settings: {
        processes: 1,
        accessLifetime: 3600,
        idle: 1209600,
        absolute: 36000,
        grace: 0,
        rotation: true,
        retryAfter: 10800
      },
      steps: [
        { do: "login", process: 0, whose: "person" },
        { do: "trouble", what: "429", times: 4 },
        { do: "go", operations: 5, seed: 318285 },
        { do: "jump", process: 0, millis: -7200000 },
        { do: "flow", millis: 20000, seed: 687774 },
        { do: "recover", seed: 41091 }
      ]
    }
  },
  {
    seed: "once/11870",
    what: "the model's own: a clock that is set forward and back during an ask is as it was, and was another meanwhile",
    program: {
      settings: {
        processes: 1,
        accessLifetime: 3600,
        idle: 10800,
        absolute: 7776000,
        grace: 0,
        rotation: false,
        retryAfter: 20
      },
      steps: [
        { do: "recover", seed: 148511 },
        { do: "shutdown", process: 0 },
        { do: "ask", process: 0, whose: "machine", how: "token" },
        { do: "go", operations: 1, seed: 456046 },
        { do: "jump", process: 0, millis: 3600000 },
        { do: "go", operations: 4, seed: 815170 },
        { do: "jump", process: 0, millis: -3600000 },
        { do: "go", operations: 6, seed: 944674 }
      ]
    }
  },
  {
    seed: "soft4/40",
    what: "a clock beyond belief passed for one that is right, and a token was judged by the difference to another host's",
    program: {
      settings: {
        processes: 3,
        accessLifetime: 86400,
        idle: 259200,
        absolute: 864000,
        grace: 600,
        rotation: true,
        retryAfter: 20
      },
      steps: [
        { do: "login", process: 0, whose: "person" },
        { do: "flow", millis: 10000, seed: 0 },
        { do: "jump", process: 2, millis: -172800000 },
        { do: "login", process: 2, whose: "person" },
        { do: "jump", process: 1, millis: 1000 },
        { do: "ask", process: 0, whose: "person", how: "call" },
        { do: "jump", process: 1, millis: -86400000 },
        { do: "recover", seed: 955114 },
        { do: "stall", millis: 86400000 },
        { do: "trouble", what: "half", times: 5 },
        { do: "jump", process: 1, millis: -3600000 },
        { do: "flow", millis: 82080000, seed: 244646 },
        { do: "ask", process: 1, whose: "person", how: "token" },
        { do: "flow", millis: 82080000, seed: 696854 }
      ]
    }
  },
  {
    seed: "ci/219",
    what: "the model's own: an answer lost while another was waiting to be saved is not of the generation that one brought",
    program: {
      settings: {
        processes: 3,
        accessLifetime: 3600,
        idle: 1209600,
        absolute: 7776000,
        grace: 0,
        rotation: false,
        retryAfter: 10800
      },
      steps: [
        { do: "recover", seed: 650446 },
        { do: "trouble", what: "hang", times: 3 },
        { do: "edge", millis: 1, seed: 574794 },
        { do: "ask", process: 1, whose: "person", how: "renew" },
        { do: "flow", millis: 60000, seed: 413062 },
        { do: "ask", process: 0, whose: "person", how: "long" },
        { do: "ask", process: 2, whose: "machine", how: "long" },
        { do: "go", operations: 2, seed: 640985 },
        { do: "store", operation: "write", times: 5, late: false },
        { do: "go", operations: 4, seed: 373250 },
        { do: "ask", process: 1, whose: "person", how: "renew" },
        { do: "go", operations: 4, seed: 942604 },
        { do: "ask", process: 2, whose: "person", how: "call" },
        { do: "go", operations: 6, seed: 517216 },
        { do: "trouble", what: "429", times: 3 },
        { do: "ask", process: 1, whose: "machine", how: "token" },
        { do: "flow", millis: 3600000, seed: 624215 },
        { do: "trouble", what: "reset", times: 5 },
        { do: "ask", process: 1, whose: "person", how: "renew" },
        { do: "revokeAll" },
        { do: "go", operations: 6, seed: 512985 },
        { do: "recover", seed: 158 }
      ]
    }
  },
  {
    seed: "once/68492",
    what: "the model's own: a refusal that comes after somebody signed out is one, though nothing is there to be marked",
    program: {
      settings: {
        processes: 2,
        accessLifetime: 3600,
        idle: 10800,
        absolute: 7776000,
        grace: 0,
        rotation: true,
        retryAfter: 2
      },
      steps: [
        { do: "login", process: 0, whose: "person" },
        { do: "flow", millis: 20000, seed: 250365 },
        { do: "ask", process: 0, whose: "person", how: "call" },
        { do: "revokeAll" },
        { do: "flow", millis: 1000, seed: 539727 },
        { do: "ask", process: 0, whose: "person", how: "call" },
        { do: "go", operations: 4, seed: 40858 },
        { do: "pause", process: 0 },
        { do: "logout", process: 1, whose: "person", revoke: true },
        { do: "flow", millis: 3600000, seed: 425071 },
        { do: "recover", seed: 896 }
      ]
    }
  },
  {
    seed: "ci/793 (with derived tokens)",
    what: "a derived token was refused its parent's, which another process had renewed and which served, as if nobody had signed in",
    program: {
      settings: {
        processes: 2,
        accessLifetime: 300,
        idle: 1209600,
        absolute: 7776000,
        grace: 30,
        rotation: true,
        retryAfter: 10800,
        keepsWarm: false
      },
      steps: [
        { do: "login", process: 0, whose: "person" },
        { do: "flow", millis: 10000, seed: 0 },
        { do: "flow", millis: 285000, seed: 290438 },
        { do: "ask", process: 1, whose: "person", how: "renew" },
        { do: "login", process: 0, whose: "person" },
        { do: "go", operations: 4, seed: 820056 },
        { do: "crash", process: 1 },
        { do: "ask", process: 1, whose: "person", how: "long" },
        { do: "flow", millis: 285000, seed: 821989 },
        { do: "stall", millis: 31000 },
        { do: "trouble", what: "reset", times: 4 },
        { do: "ask", process: 1, whose: "derived", how: "renew" },
        { do: "ask", process: 0, whose: "person", how: "token" },
        { do: "flow", millis: 285000, seed: 618969 }
      ]
    }
  },
  {
    seed: "ci/810",
    what: "a discovery that had failed was told again, without asking anybody, for as long as the clock was set back",
    program: {
      settings: {
        processes: 1,
        accessLifetime: 20,
        idle: 1209600,
        absolute: 200,
        grace: 30,
        rotation: true,
        retryAfter: 10800,
        keepsWarm: false
      },
      steps: [
        { do: "outage", millis: 5000, as: "unreachable" },
        { do: "ask", process: 0, whose: "machine", how: "long" },
        { do: "flow", millis: 60000, seed: 682594 },
        { do: "jump", process: 0, millis: -86400000 },
        { do: "recover", seed: 284350 }
      ]
    }
  },
  {
    seed: "attack3/3949",
    what: "a derived token waited for a whole Retry-After again, counted from when its parent told of it",
    program: {
      settings: {
        processes: 3,
        accessLifetime: 300,
        idle: 1209600,
        absolute: 7776000,
        grace: 600,
        rotation: false,
        retryAfter: 10800,
        keepsWarm: true
      },
      steps: [
        { do: "recover", seed: 541338 },
        { do: "flow", millis: 300000, seed: 463473 },
        { do: "trouble", what: "429", times: 4 },
        { do: "revokeAll" },
        { do: "flow", millis: 60000, seed: 785712 },
        { do: "ask", process: 2, whose: "person", how: "renew" },
        { do: "flow", millis: 1000, seed: 627817 },
        { do: "recover", seed: 590115 }
      ]
    }
  },
  {
    seed: "attack3/5579",
    what: "a derived token ended while the store was asked whose its parent is, and was handed out",
    program: {
      settings: {
        processes: 1,
        accessLifetime: 300,
        idle: 1209600,
        absolute: 3000,
        grace: 0,
        rotation: true,
        retryAfter: 20,
        keepsWarm: false
      },
      steps: [
        { do: "recover", seed: 957968 },
        { do: "crash", process: 0 },
        { do: "ask", process: 0, whose: "derived", how: "token" },
        { do: "go", operations: 6, seed: 923588 },
        { do: "stall", millis: 300000 },
        { do: "flow", millis: 1000, seed: 248085 }
      ]
    }
  },
  {
    seed: "attack4/2420",
    what: "the model's own: who shows a token for another learns of one that is over with each call, as who shows it to an API",
    program: {
      settings: {
        processes: 2,
        accessLifetime: 300,
        idle: 1209600,
        absolute: 3000,
        grace: 30,
        rotation: true,
        retryAfter: 20,
        keepsWarm: false
      },
      steps: [
        { do: "jump", process: 0, millis: -86400000 },
        { do: "recover", seed: 716418 },
        { do: "login", process: 1, whose: "person" },
        { do: "shutdown", process: 0 },
        { do: "ask", process: 0, whose: "derived", how: "renew" },
        { do: "recover", seed: 605375 }
      ]
    }
  }
]
