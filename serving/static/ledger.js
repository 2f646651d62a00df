/** The ledger as a table: what was changed, why and by whom. */

import { el } from "./dom.js";
import { figure, moment, share } from "./words.js";

const LABELS = ["Time", "Model", "Action", "Shares", "Reason", "By"];

/** The rows of the ledger's body. */
export function ledgerRows(entries) {
  return entries.map((entry) => {
    const run = entry.run ? el("span", { class: "bound" }, `run ${entry.run}`) : null;
    const cells = [
      el("time", { datetime: entry.at }, moment(entry.at)),
      entry.model,
      entry.action,
      change(entry.before, entry.after),
      [el("span", {}, entry.reason), evidence(entry.evidence)],
      [entry.by, run],
    ];
    return el(
      "tr",
      { role: "row", id: `entry-${entry.id}` },
      cells.map((content, place) => cellOf(content, LABELS[place])),
    );
  });
}

const cellOf = (content, label) =>
  el("td", { role: "cell", "data-label": label }, el("div", {}, content));

/** From what to what: each version whose share changed. */
function change(before, after) {
  const versions = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort(
    (one, other) => one - other,
  );
  const changed = versions.filter(
    (version) => (before[version] ?? null) !== (after[version] ?? null),
  );
  return changed.length === 0
    ? "as before"
    : changed.map((version) =>
        el(
          "div",
          { class: "change" },
          `${version}: ${shareOf(before[version])} → ${shareOf(after[version])}`,
        ),
      );
}

const shareOf = (weight) => (weight === undefined ? "none" : share(weight));

function evidence(found) {
  const entries = Object.entries(found ?? {});
  if (entries.length === 0) return null;
  const rows = flat(entries).map(([name, value]) =>
    el("div", {}, el("dt", {}, name), el("dd", { class: "figure" }, value)),
  );
  return el("details", {}, el("summary", {}, "Evidence"), el("dl", { class: "facts" }, rows));
}

/** Evidence by dotted names, numbers in a readable form. */
function flat(entries, head = "") {
  return entries.flatMap(([name, value]) => {
    if (value !== null && typeof value === "object")
      return flat(Object.entries(value), `${head}${name}.`);
    return [
      [
        `${head}${name}`.replaceAll("_", " "),
        typeof value === "number" ? figure(value) : String(value ?? "none"),
      ],
    ];
  });
}
