/** One model's traffic: who gets which share, and how each version does. */

import { el } from "./dom.js";
import { rolloutView } from "./rollout.js";
import { duration, figure, moment, number, rate, share } from "./words.js";

const COLOURS = 4;
const MEASURES = { errors: "Errors", slow: "Slow", disagreements: "Disagreements", wrong: "Wrong" };
const CIRCUITS = { closed: "closed", open: "open", "half-open": "trying again" };

/** The section of a model. */
export function modelView(model) {
  // A name may hold anything, and an id no space.
  const title = `model-${encodeURIComponent(model.name)}`;
  return el(
    "section",
    { class: "panel", id: `${title}-section`, "aria-labelledby": title },
    el("h2", { id: title }, model.name),
    stackedBar(model.variants, title),
    variantTable(model, title),
    el("p", { class: "hint" }, footnote(model)),
    model.rollout ? rolloutView(model.rollout) : null,
  );
}

function footnote(model) {
  const parts = [
    model.since
      ? `Counted since the last change, ${moment(model.since)}.`
      : "Counted since the start.",
  ];
  if (model.slow_ms) parts.push(`Slow is more than ${duration(model.slow_ms)}.`);
  const counted = model.variants.some(({ measures }) =>
    Object.values(measures).some(({ trials }) => trials > 0),
  );
  if (counted) parts.push("The ranges hold with 95\u202f% certainty, however often one looks.");
  return parts.join(" ");
}

/** The colour of a variant by its place among those with traffic. */
function colours(variants) {
  const live = variants.filter((variant) => variant.share > 0 || variant.shadow > 0);
  return (variant) => {
    const place = live.indexOf(variant);
    return place < 0 ? "colour-none" : `colour-${(place % COLOURS) + 1}`;
  };
}

/** Shares as one bar; the table below says them in words. */
function stackedBar(variants, title) {
  const colour = colours(variants);
  const stretches = variants
    .filter((variant) => variant.share > 0)
    .map((variant) => {
      const stretch = el("span", {
        class: colour(variant),
        id: `${title}-${variant.version}`,
        title: `version ${variant.version}: ${share(variant.share)}`,
      });
      stretch.style.setProperty("--share", variant.share);
      return stretch;
    });
  return el("div", { class: "stacked-bar", "aria-hidden": "true" }, stretches);
}

function variantTable(model, title) {
  const names = ["Version", "Share", "Requests", ...Object.values(MEASURES), "Circuit"];
  const head = el(
    "tr",
    { role: "row" },
    names.map((name) => el("th", { scope: "col", role: "columnheader" }, name)),
  );
  const colour = colours(model.variants);
  const rows = model.variants.map((variant) => variantRow(variant, colour(variant)));
  return el(
    "table",
    { class: "stacked figure", role: "table", "aria-labelledby": title },
    el("thead", { role: "rowgroup" }, head),
    el("tbody", { role: "rowgroup" }, rows),
  );
}

function variantRow(variant, colour) {
  const { errors } = variant.measures;
  const name = el(
    "span",
    { class: "whole" },
    el("span", { class: `mark ${colour}`, "aria-hidden": "true" }),
    `${variant.version} `,
    el("span", { class: `badge ${variant.role}` }, variant.role),
  );
  const experiment = variant.experiment
    ? el("span", { class: "bound" }, `experiment ${variant.experiment}`)
    : null;
  const shadow =
    variant.shadow > 0
      ? el("span", { class: "bound" }, `and copies of ${share(variant.shadow)}`)
      : null;
  const circuit = variant.breaker ?? "closed";
  return el(
    "tr",
    { role: "row" },
    el("th", { scope: "row", role: "rowheader" }, name, experiment),
    cell("Share", [share(variant.share), shadow]),
    cell("Requests", [number(errors?.trials ?? 0), pace(variant)]),
    Object.entries(MEASURES).map(([measure, label]) =>
      cell(label, countOf(variant.measures[measure])),
    ),
    cell("Circuit", [
      el("span", { class: circuit === "closed" ? null : "bad-text" }, CIRCUITS[circuit] ?? circuit),
    ]),
  );
}

function pace({ per_second: perSecond, p95_ms: slowest }) {
  if (!perSecond) return null;
  const latency = slowest === null ? null : whole(`95\u202f% in ${duration(slowest)}`);
  return el(
    "span",
    { class: "bound" },
    whole(`${figure(Math.round(perSecond * 10) / 10)} a second`),
    latency && ", ",
    latency,
  );
}

/** From what to what a share may be, with one sign for both. */
const range = ({ low, high }) => `${rate(low).replace(/\u202f%$/u, "")} to ${rate(high)}`;

const whole = (text) => el("span", { class: "whole" }, text);

const cell = (label, content) =>
  el("td", { role: "cell", "data-label": label }, el("div", {}, content));

function countOf(measure) {
  if (!measure || measure.trials === 0) return [el("span", { class: "hint none" }, "none yet")];
  const bounds = [whole(rate(measure.rate)), " ", whole(`(${range(measure)})`)];
  return [
    `${number(measure.hits)} of ${number(measure.trials)}`,
    el("span", { class: "bound" }, bounds),
  ];
}
