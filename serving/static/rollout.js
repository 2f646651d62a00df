/** A rollout under way: where it is, on what evidence, and what it waits for. */

import { el } from "./dom.js";
import { moment } from "./words.js";

/** The steps of a rollout, with the present one marked. */
export function rolloutView(rollout) {
  const steps = rollout.steps.map((name, place) => {
    const current = place === rollout.current;
    return el(
      "li",
      { class: place < rollout.current ? "done" : null, "aria-current": current ? "step" : null },
      name,
    );
  });
  const missing = rollout.missing.map((text) => el("li", {}, text));
  return el(
    "div",
    { class: "rollout" },
    el("h3", {}, `Rollout of version ${rollout.version}`),
    el("ol", { class: "steps" }, steps),
    el("p", {}, rollout.reason),
    missing.length > 0 ? el("p", { class: "hint" }, "What it waits for:") : null,
    missing.length > 0 ? el("ul", { class: "missing" }, missing) : null,
    el(
      "p",
      { class: "hint" },
      `Begun ${moment(rollout.started)} by ${rollout.by}; in this step since ${moment(rollout.changed)}.`,
    ),
  );
}
