/** The answer to a row: each output as what it is, and who answered. */

import { el } from "./dom.js";
import { maskView } from "./mask.js";
import { sparkline } from "./series.js";
import { duration, figure, moment, percent, same, share } from "./words.js";

const MOST_BARS = 10;
const HEAD = new Set(["id", "version", "fallback_from", "experiment", "phase"]);

/** Show every output of a prediction; `picture` is the image that was sent. */
export function outputViews(signature, prediction, picture) {
  return outputsOf(signature, prediction).map(({ feature, output }) =>
    viewOf(feature, output, picture),
  );
}

/** One sentence of the answer, for those who hear it. */
export function spoken(signature, prediction) {
  const said = outputsOf(signature, prediction).map(({ feature, output }) => {
    const sure = typeof output.probability === "number" ? `, ${percent(output.probability)}` : "";
    const value = feature.type === "image" ? maskWords(output) : textOf(output.prediction);
    return `${feature.name}: ${value}${sure}`;
  });
  return `Answer. ${said.join("; ")}.`;
}

/** Which variant answered, when, how fast, and under which id. */
export function whoAnswered(model, prediction, { at, milliseconds }) {
  const variant = model.variants.find((item) => item.version === prediction.version);
  const lines = [
    ["Answered by", byWhom(prediction, variant)],
    (prediction.experiment ?? variant?.experiment)
      ? ["Experiment", prediction.experiment ?? variant.experiment]
      : null,
    ["At", `${moment(at)}, after ${duration(milliseconds)}`],
    ["Prediction id", idLink(prediction.id)],
  ].filter(Boolean);
  return el(
    "dl",
    { class: "facts" },
    lines.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))),
  );
}

const idLink = (id) =>
  el("a", { href: `predictions/${encodeURIComponent(id)}` }, el("code", { class: "id" }, id));

function byWhom(prediction, variant) {
  const role = variant
    ? `, the ${variant.role}, which gets ${share(variant.share)} of requests`
    : "";
  const failed = prediction.fallback_from;
  if (failed === null || failed === undefined) return `version ${prediction.version}${role}`;
  return `version ${prediction.version}, the champion, because version ${failed} was chosen and failed`;
}

function outputsOf(signature, prediction) {
  const known = new Map(signature.outputs.map((feature) => [feature.name, feature]));
  const names = Object.keys(prediction).filter((name) => !HEAD.has(name));
  return names.map((name) => ({
    feature: known.get(name) ?? { name, type: "text" },
    output: prediction[name],
  }));
}

function viewOf(feature, output, picture) {
  if (feature.type === "image") return maskView(feature, output, picture);
  const value = output.prediction;
  const heading = el("h3", {}, feature.name);
  const drawing = Array.isArray(value) ? sparkline(value, feature.name) : null;
  const sure =
    typeof output.probability === "number"
      ? el("span", { class: "sure" }, percent(output.probability))
      : null;
  const main = el("p", { class: "verdict" }, el("output", { class: "value" }, textOf(value)), sure);
  return el(
    "section",
    { class: "output" },
    heading,
    main,
    drawing,
    bars(feature.name, output.probabilities, value),
  );
}

function textOf(value) {
  if (typeof value === "number") return figure(value);
  if (value === null || value === undefined) return "no value";
  return Array.isArray(value) ? value.map(textOf).join(", ") : String(value);
}

const maskWords = (output) =>
  typeof output.share === "number" ? `a mask over ${percent(output.share)} of the image` : "a mask";

/** Probabilities as a table whose bars are only drawn: the numbers are there to be read. */
function bars(name, probabilities, predicted) {
  const entries = Object.entries(probabilities ?? {}).sort(([, one], [, other]) => other - one);
  if (entries.length === 0) return null;
  const rows = entries.map((entry) => bar(entry, predicted));
  const body = el("tbody", {}, rows);
  for (const row of rows.slice(MOST_BARS)) row.hidden = true;
  const caption = el("caption", { class: "unseen" }, `Probabilities of ${name}`);
  const head = el(
    "thead",
    { class: "unseen" },
    el("tr", {}, el("th", { scope: "col" }, name), el("th", { scope: "col" }, "Probability")),
  );
  return el("div", {}, el("table", { class: "bars" }, caption, head, body), more(rows));
}

function bar([label, probability], predicted) {
  const fill = el("span", { class: "bar-fill" });
  // Set by script and not by an attribute, which the content security policy forbids.
  fill.style.setProperty("--share", probability);
  const track = el("span", { class: "bar-track", "aria-hidden": "true" }, fill);
  const name = el("th", { scope: "row" }, el("span", { class: "bar-name" }, label));
  const cell = el(
    "td",
    {},
    el(
      "span",
      { class: "bar-line" },
      track,
      el("span", { class: "bar-number" }, percent(probability)),
    ),
  );
  return el("tr", { class: same(label, predicted) ? "chosen" : null }, name, cell);
}

function more(rows) {
  if (rows.length <= MOST_BARS) return null;
  const open = (event) => {
    for (const row of rows) row.hidden = false;
    event.currentTarget.remove();
  };
  return el(
    "button",
    { type: "button", class: "button quiet small", onclick: open },
    `Show all ${rows.length}`,
  );
}
