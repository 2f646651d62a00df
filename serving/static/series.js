/** Series of numbers: read what was typed, and draw it small. */

import { svg } from "./dom.js";
import { figure } from "./words.js";

const WIDTH = 240;
const HEIGHT = 48;
const MARGIN = 3;

/** The parts of a list, by commas, semicolons or white space; numbers where they are numbers. */
export function parts(text) {
  return text
    .split(/[\s,;]+/u)
    .filter(Boolean)
    .map((part) => (Number.isFinite(Number(part)) ? Number(part) : part));
}

/** A line of the numbers, or null where there is nothing to draw. */
export function sparkline(values, label) {
  const numbers = values.filter((value) => typeof value === "number");
  if (numbers.length < 2) return null;
  const [low, high] = [Math.min(...numbers), Math.max(...numbers)];
  const across = (place) => MARGIN + (place / (numbers.length - 1)) * (WIDTH - 2 * MARGIN);
  const down = (value) =>
    high === low
      ? HEIGHT / 2
      : HEIGHT - MARGIN - ((value - low) / (high - low)) * (HEIGHT - 2 * MARGIN);
  const points = numbers.map(
    (value, place) => `${across(place).toFixed(1)},${down(value).toFixed(1)}`,
  );
  const description = `${label}: ${numbers.length} values between ${figure(low)} and ${figure(high)}`;
  return svg(
    "svg",
    {
      class: "sparkline",
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      role: "img",
      "aria-label": description,
      preserveAspectRatio: "none",
    },
    svg("polyline", { points: points.join(" "), "vector-effect": "non-scaling-stroke" }),
  );
}
