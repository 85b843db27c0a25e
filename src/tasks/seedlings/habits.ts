/** Chances that make the scripted expert what it is. */
export interface Habits {
  /** Runs the tests before anything else; else reads, or now and then lists the files. */
  readonly testsFirst: number;
  readonly listsFirst: number;
  /** After failing tests, goes on with a file that they name. */
  readonly followsFailures: number;
  readonly readsTwo: number;
  /** Sees the wrong line of a file that it has just read. */
  readonly notices: number;
  /** Takes a right line for a wrong one. */
  readonly suspects: number;
  /** Knows the right text of a wrong line: at once, and after a try that failed. */
  readonly knows: number;
  readonly knowsBetter: number;
  readonly takesBack: number;
  readonly testsAfterEdit: number;
  readonly testsWithEdit: number;
  readonly trustsTests: number;
  readonly givesUp: number;
  /** Ends after a file that looks right, whatever it has not read. */
  readonly quits: number;
  /** Names a path or a line that does not exist. */
  readonly slips: number;
}

/**
 * Leaves a policy room to learn: takes the first repair that comes to mind, tests it half of the time, tries again or
 * gives up. Less than half of its rollouts solve the task.
 */
export const imperfect: Habits = {
  testsFirst: 0.5,
  listsFirst: 0.04,
  followsFailures: 0.9,
  readsTwo: 0.22,
  notices: 0.88,
  suspects: 0.04,
  knows: 0.5,
  knowsBetter: 0.75,
  takesBack: 0.75,
  testsAfterEdit: 0.45,
  testsWithEdit: 0.14,
  trustsTests: 0.94,
  givesUp: 0.45,
  quits: 0.42,
  slips: 0.045,
};

/** Reads and repairs, and hardly anything else: what is wrong with a file, shown as often as tokens allow. */
export const careful: Habits = {
  ...imperfect,
  testsFirst: 0.05,
  listsFirst: 0,
  readsTwo: 0.5,
  notices: 1,
  suspects: 0,
  knows: 1,
  knowsBetter: 1,
  testsAfterEdit: 0.05,
  testsWithEdit: 0.05,
  trustsTests: 1,
  givesUp: 0,
  quits: 0,
  slips: 0,
};

export const experts = { imperfect, careful } as const;
