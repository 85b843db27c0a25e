/** Time as an argument, so that a run replays. Production passes `systemClock`. */
export interface Clock {
  /** Milliseconds since an arbitrary origin, never going back. */
  now(): number;
}

export const systemClock: Clock = { now: () => performance.now() };
