/** One field of the form a feature: `{element, input, read(), write(value), refuse(text)}`. */

import { el, newId, say, show } from "./dom.js";
import { imageField } from "./image.js";
import { parts, sparkline } from "./series.js";
import { figure, ordered, plural } from "./words.js";

const MOST_OPTIONS = 60;
const MISSING = "left out";

/** Make the field of a feature; `read` returns undefined where the value is to be left out. */
export function makeField(feature) {
  const make = MAKERS[feature.type] ?? textField;
  return make(feature, frame(feature));
}

/** Label, hint and place for a refusal, tied to an input by `tie`. */
function frame(feature) {
  const id = newId("field");
  const note = feature.required ? "" : "may be left out";
  const hints = [hintOf(feature), note].filter(Boolean).join("; ");
  const hint = el("span", { class: "hint", id: `${id}-hint` }, hints);
  const error = el("span", { class: "field-error", id: `${id}-error`, hidden: true });
  const label = el("label", { for: id, class: "field-label" }, feature.column);
  const tie = (input) => {
    input.id = id;
    input.setAttribute("aria-describedby", `${hint.id} ${error.id}`);
    if (feature.required && input.type !== "file") input.setAttribute("aria-required", "true");
    return input;
  };
  const finish = (input, control, rest) => {
    const element = el(
      "div",
      { class: `field field-${feature.type}` },
      label,
      hint,
      control,
      error,
    );
    const refuse = (text) => {
      const message = text ? `${feature.column} ${text}` : "";
      say(error, message);
      show(error, Boolean(message));
      if (message) input.setAttribute("aria-invalid", "true");
      else input.removeAttribute("aria-invalid");
    };
    input.addEventListener("input", () => refuse(""));
    return { element, input, feature, refuse, ...rest };
  };
  return { id, label, hint, tie, finish };
}

function hintOf(feature) {
  const { low, high, steps } = feature;
  const hasRange = typeof low === "number" && typeof high === "number";
  const hints = {
    number: hasRange ? `${figure(low)} to ${figure(high)} in training` : "",
    text: steps ? `text; the first ${steps} words and marks are read` : "text",
    timeseries: `numbers, with commas between them${steps ? `; the first ${steps} are read` : ""}`,
    vector: "numbers, with commas between them",
    date: "a date, such as 2026-01-31",
    set: "words, with spaces between them",
    bag: "words, with spaces between them",
    sequence: "words, with spaces between them",
    audio: "a sound, which cannot be sent over HTTP",
  };
  return hints[feature.type] ?? "";
}

function textField(feature, place) {
  const long = feature.type === "text" || feature.type === "sequence";
  const properties = { autocomplete: "off", spellcheck: "false", class: "control" };
  const input = place.tie(
    el(long ? "textarea" : "input", long ? { ...properties, rows: 4 } : properties),
  );
  return place.finish(input, input, plainText(input));
}

function plainText(input) {
  return {
    read: () => input.value.trim() || undefined,
    write: (value) => {
      input.value = value ?? "";
    },
  };
}

function numberField(feature, place) {
  // The decimal keyboard of an iPhone has no minus.
  const inputmode = feature.low >= 0 ? "decimal" : null;
  const input = place.tie(el("input", { class: "control figure", autocomplete: "off", inputmode }));
  const read = () => {
    const text = input.value.trim();
    if (!text) return undefined;
    return Number.isFinite(Number(text)) ? Number(text) : text;
  };
  return place.finish(input, input, { ...plainText(input), read });
}

function categoryField(feature, place) {
  const known = feature.categories ?? [];
  if (known.length === 0) return textField(feature, place);
  if (known.length > MOST_OPTIONS) return suggestField(feature, place, known);
  const first = el("option", { value: "" }, feature.required ? "choose" : MISSING);
  const options = ordered(known).map((value) => el("option", { value }, value));
  const input = place.tie(el("select", { class: "control" }, first, options));
  const write = (value) => {
    input.value = known.includes(String(value)) ? String(value) : "";
  };
  return place.finish(input, input, { read: () => input.value || undefined, write });
}

function suggestField(feature, place, known) {
  const list = el(
    "datalist",
    { id: newId("known") },
    known.map((value) => el("option", { value })),
  );
  const input = place.tie(el("input", { class: "control", list: list.id, autocomplete: "off" }));
  return place.finish(input, el("div", {}, input, list), plainText(input));
}

function binaryField(feature, place) {
  const [off, on] = feature.categories ?? ["False", "True"];
  // A switch is always on or off: what may be left out needs a third place.
  if (!feature.required || on === undefined) {
    return categoryField({ ...feature, categories: feature.categories ?? [off, on] }, place);
  }
  const input = place.tie(el("input", { type: "checkbox", role: "switch", class: "switch" }));
  const state = el("span", { class: "switch-state", "aria-hidden": "true" }, off);
  const settle = () => say(state, input.checked ? on : off);
  input.addEventListener("change", settle);
  const write = (value) => {
    input.checked = String(value).toLowerCase() === on.toLowerCase();
    settle();
  };
  const control = el("span", { class: "switch-line" }, input, state);
  return place.finish(input, control, { read: () => (input.checked ? on : off), write });
}

function seriesField(feature, place) {
  const input = place.tie(
    el("textarea", { class: "control figure", rows: 3, spellcheck: "false", autocomplete: "off" }),
  );
  const drawing = el("div", { class: "drawing", hidden: true });
  const draw = () => {
    const values = parts(input.value);
    const line = sparkline(values, feature.column);
    drawing.replaceChildren(
      ...(line ? [line, el("span", { class: "hint" }, plural(values.length, "value"))] : []),
    );
    show(drawing, Boolean(line));
  };
  input.addEventListener("input", draw);
  const read = () => (input.value.trim() ? parts(input.value) : undefined);
  const write = (value) => {
    input.value = Array.isArray(value) ? value.join(", ") : (value ?? "");
    draw();
  };
  return place.finish(input, el("div", {}, input, drawing), { read, write });
}

const MAKERS = {
  number: numberField,
  category: categoryField,
  binary: binaryField,
  timeseries: seriesField,
  vector: seriesField,
  image: imageField,
};
