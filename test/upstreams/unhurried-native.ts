/** Our kernels with the pace of a bigger model: a tiny one would be done before anything can happen to it. */
import { loadNative, type Native } from '../../src/native/native.ts';

const stepMs = 2;

export function unhurriedNative(): Native {
  const native = loadNative();
  return {
    ...native,
    forward: async (...plan) => {
      await new Promise((later) => setTimeout(later, stepMs));
      return native.forward(...plan);
    },
  };
}
