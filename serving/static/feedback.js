/** A correction of an answer, sent as a label of its prediction. */

import { ask } from "./api.js";
import { el, newId, say } from "./dom.js";
import { ordered, same } from "./words.js";

const ATTEMPTS = 4;
const AGAIN_MS = 2000;
const UNKNOWN = 404;
const CORRECTABLE = new Set(["category", "binary", "number", "text"]);

/** The form for a correction, or null where no output can be labelled by hand. */
export function correction(model, signature, prediction) {
  const outputs = signature.outputs.filter(
    (feature) => CORRECTABLE.has(feature.type) && feature.name in prediction,
  );
  if (outputs.length === 0) return null;
  const status = el("p", { class: "note", role: "status" });
  const inputs = outputs.map((feature) => inputOf(feature, prediction[feature.name].prediction));
  const button = el("button", { class: "button" }, "Send as label");
  const form = el(
    "form",
    { class: "correction", novalidate: true },
    el("h3", {}, "What is it really?"),
    el(
      "p",
      { class: "hint" },
      "A label says what would have been right; it is kept with the prediction and counts in the model's figures.",
    ),
    inputs.map(({ element }) => element),
    button,
    status,
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!button.hasAttribute("aria-disabled")) deliver(model, prediction, inputs, button, status);
  });
  return form;
}

function inputOf(feature, predicted) {
  const id = newId("label");
  const known = feature.categories?.length > 0 ? feature.categories : null;
  const input = known
    ? choice(id, known, predicted)
    : el("input", { id, class: "control", autocomplete: "off", value: predicted });
  const element = el(
    "div",
    { class: "field" },
    el("label", { for: id, class: "field-label" }, feature.name),
    input,
  );
  return { element, input, feature };
}

function choice(id, known, predicted) {
  const options = ordered(known).map((value) =>
    el("option", { value, selected: same(value, predicted) }, value),
  );
  return el("select", { id, class: "control" }, options);
}

async function deliver(model, prediction, inputs, button, status) {
  const given = inputs.map(({ input, feature }) => [feature.name, valueOf(input, feature)]);
  const labels = given.map(([output, value]) => ({ id: prediction.id, output, value }));
  button.setAttribute("aria-disabled", "true");
  say(status, "Sending the label.");
  status.className = "note";
  try {
    const path = `models/${encodeURIComponent(model.name)}/feedback`;
    const kept = await send(path, labels, status);
    confirm(status, kept, prediction, given);
  } catch (error) {
    status.className = "note bad";
    say(status, `The label was not kept: ${error.message}`);
  } finally {
    button.removeAttribute("aria-disabled");
  }
}

/** Send labels; again after a while where the prediction is still on its way to the database. */
async function send(path, labels, status) {
  for (let left = ATTEMPTS - 1; ; left -= 1) {
    try {
      return await ask(path, { method: "POST", json: { labels } });
    } catch (error) {
      if (error.status !== UNKNOWN || left === 0) throw error;
    }
    say(status, "The prediction is still being written; the label is sent again in 2 seconds.");
    await new Promise((resolve) => {
      setTimeout(resolve, AGAIN_MS);
    });
  }
}

function valueOf(input, feature) {
  const text = input.value.trim();
  return feature.type === "number" && text && Number.isFinite(Number(text)) ? Number(text) : text;
}

function confirm(status, kept, prediction, given) {
  const right = given.every(([name, value]) => same(prediction[name].prediction, value));
  const words = given.map(([name, value]) => `${name} is ${value}`).join(", ");
  status.className = "note good";
  say(
    status,
    `Kept: ${words}; the answer was ${right ? "right" : "wrong"}.${kept.replaced > 0 ? " It replaces an earlier label." : ""}`,
  );
}
