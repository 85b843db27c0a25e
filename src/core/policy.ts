import type { PolicyVersion } from './ids.ts';

/** The versions that sampled a completion: weights may change in mid-decode. `first <= last`. */
export interface PolicySpan {
  readonly first: PolicyVersion;
  readonly last: PolicyVersion;
}
