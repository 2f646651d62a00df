/** Numbers, shares and times as people read them; one way for all pages. */

const percents = new Map();

/** A share as per cent, with as many decimals as are asked for. */
export function percent(share, decimals = 1) {
  if (!percents.has(decimals)) {
    const style = {
      style: "percent",
      minimumFractionDigits: decimals,
      maximumFractionDigits: decimals,
    };
    percents.set(decimals, new Intl.NumberFormat("en", style));
  }
  return percents.get(decimals).format(share).replace("%", "\u202f%");
}

/** A share of traffic: whole where it is whole. */
export const share = (value) =>
  percent(value, Number.isInteger(Math.round(value * 1e6) / 1e4) ? 0 : 1);

/** A share that may be small: two digits that say something. */
export const rate = (value) => percent(value, value === 0 ? 0 : value < 0.0995 ? 2 : 1);

const counts = new Intl.NumberFormat("en");
export const number = (value) => counts.format(value);

/** A predicted number: six digits, plain where that is readable. */
export function figure(value) {
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-4 || size >= 1e9)) return value.toPrecision(6);
  return new Intl.NumberFormat("en", { maximumSignificantDigits: 6 }).format(value);
}

const clock = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium" });
const dated = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "medium" });

/** Date and time. */
export const full = (value) => dated.format(new Date(value));

/** The time of day, with the date where it was another day. */
export function moment(value) {
  const at = new Date(value);
  return at.toDateString() === new Date().toDateString() ? clock.format(at) : dated.format(at);
}

export const duration = (milliseconds) =>
  milliseconds < 1000
    ? `${milliseconds < 10 ? milliseconds.toFixed(1) : Math.round(milliseconds)} ms`
    : `${(milliseconds / 1000).toFixed(1)} s`;

/** "1 request", "2 requests". */
export const plural = (value, word) => `${number(value)} ${word}${value === 1 ? "" : "s"}`;

/** Whether two labels are the same: a model may say true where its data say "True". */
export const same = (one, other) => String(one).toLowerCase() === String(other).toLowerCase();

const collator = new Intl.Collator("en", { numeric: true });

/** Labels as people look for them: 2 before 10. */
export const ordered = (labels) => [...labels].sort(collator.compare);
