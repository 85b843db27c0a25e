/** Figures as people read them. One place, so that the terminal, the tables and the report agree. */

/** What is shown for a figure that could not be had. */
export const absent = '\u2013';

type Figure = number | null | undefined;
const orAbsent = (value: Figure, format: (value: number) => string): string =>
  value === null || value === undefined || Number.isNaN(value) ? absent : format(value);

export const percent = (share: Figure, digits = 0): string =>
  orAbsent(share, (value) => `${(100 * value).toFixed(digits)}%`);

/** Percentage points, signed with a true minus. */
export const points = (difference: Figure, digits = 1): string =>
  orAbsent(difference, (value) => `${value < 0 ? '\u2212' : '+'}${Math.abs(100 * value).toFixed(digits)}`);

export const fixed = (value: Figure, digits: number): string => orAbsent(value, (figure) => figure.toFixed(digits));

export const whole = (value: Figure): string =>
  orAbsent(value, (figure) =>
    Math.round(figure)
      .toString()
      .replace(/\B(?=(\d{3})+$)/g, ','),
  );

/** 0 is written `0`, so that exactly equal and nearly equal cannot be mistaken for each other. */
export const gap = (value: Figure): string =>
  orAbsent(value, (figure) => (figure === 0 ? '0' : figure.toExponential(1)));

/** `42 s`, `3:07`, `1:02:09`. */
export function duration(seconds: Figure): string {
  return orAbsent(seconds, (value) => {
    const total = Math.round(value);
    if (total < 60) return `${total} s`;
    const [hours, minutes, rest] = [Math.floor(total / 3600), Math.floor(total / 60) % 60, total % 60];
    const tail = `${String(rest).padStart(2, '0')}`;
    return hours > 0 ? `${hours}:${String(minutes).padStart(2, '0')}:${tail}` : `${minutes}:${tail}`;
  });
}

/** a / b, or null when one is missing or b is 0. */
export function ratio(a: Figure, b: Figure): number | null {
  return a === null || a === undefined || b === null || b === undefined || b === 0 ? null : a / b;
}
