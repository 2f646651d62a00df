/** The page at /: choose a model, give it a row, see the answer, correct it. */

import { outputViews, spoken, whoAnswered } from "./answer.js";
import { Away, ask } from "./api.js";
import { rowOfTable } from "./csv.js";
import { byId, calm, el, say, show } from "./dom.js";
import { correction } from "./feedback.js";
import { Form } from "./form.js";
import { listenEverywhere } from "./image.js";
import { keyInUse } from "./key.js";
import { showSnippets } from "./snippets.js";
import { figure, plural, share } from "./words.js";

const AGAIN_S = 3;
const TELLING = ["dice", "jaccard", ".accuracy", "roc_auc", "r2", "mean_absolute_error"];
const page = { models: [], model: null, signature: null, form: null, asked: 0 };

/** Ask what is served until there is something to choose from. */
async function load() {
  let wait = AGAIN_S;
  try {
    const { models } = await served();
    page.models = models;
    if (models.some(signatureOf)) return begin();
    if (models.length === 0) state("No model is deployed yet.", "empty");
    else
      state(
        `${models.map(({ name }) => name).join(", ")}: starting. This page looks again by itself.`,
      );
  } catch (error) {
    if (!(error instanceof Away) && error.status < 500) {
      state(error.message, "refused");
      return undefined;
    }
    wait = error.retryAfter ?? AGAIN_S;
    state(`${error.message} Trying again every ${plural(wait, "second")}.`, "away");
  }
  setTimeout(load, wait * 1000);
  return undefined;
}

/** What is served; a key that is for one model only may ask for that one, which the address names. */
async function served() {
  const wanted = new URLSearchParams(location.search).get("model");
  try {
    return await ask("model-info");
  } catch (error) {
    if (error.status !== 403 || !wanted) throw error;
    return await ask(`models/${encodeURIComponent(wanted)}`);
  }
}

const signatureOf = (model) => model.variants.find((variant) => variant.signature)?.signature;

/** Say how the page is; hide what cannot be used. */
function state(text, kind = "wait") {
  const note = byId("state");
  say(note, text);
  note.className = `note ${kind === "away" || kind === "refused" ? "bad" : ""}`;
  show(note, Boolean(text));
  show(byId("empty"), kind === "empty");
  show(byId("try-again"), kind === "refused");
  show(byId("workbench"), kind === "ready");
}

function begin() {
  const select = byId("model");
  select.replaceChildren(...page.models.map(({ name }) => el("option", { value: name }, name)));
  const wanted = new URLSearchParams(location.search).get("model");
  if (page.models.some(({ name }) => name === wanted)) select.value = wanted;
  else select.value = page.models.find(signatureOf).name;
  state("", "ready");
  choose();
}

/** Show the form of the model that is chosen. */
function choose() {
  page.model = page.models.find(({ name }) => name === byId("model").value);
  page.signature = signatureOf(page.model);
  page.asked += 1;
  history.replaceState(null, "", `?model=${encodeURIComponent(page.model.name)}`);
  showVariants();
  byId("answer").replaceChildren(el("p", { class: "hint" }, "The answer appears here."));
  refusal("");
  show(byId("starting"), !page.signature);
  for (const part of ["form", "programs"]) show(byId(part), Boolean(page.signature));
  if (!page.signature) return;
  page.form = new Form(page.signature);
  byId("fields").replaceChildren(...page.form.elements);
  byId("fields").classList.toggle("many", page.form.fields.length > 6);
  show(byId("table-row"), !page.form.image);
  showSnippets(byId("snippets"), page.model, page.signature, keyInUse() !== null);
}

/** The two metrics that say most to people; a loss is for machines. */
function best(metrics) {
  const place = ([name]) => {
    const found = TELLING.findIndex((word) => name.endsWith(word));
    return found < 0 ? TELLING.length + Number(name.endsWith("loss")) : found;
  };
  return Object.entries(metrics)
    .toSorted((one, other) => place(one) - place(other))
    .slice(0, 2);
}

function showVariants() {
  const items = page.model.variants.map((variant) => {
    const metrics = best(variant.metrics ?? {}).map(([name, value]) => `${name} ${figure(value)}`);
    const engine = variant.engine ? [`${variant.engine} engine`] : [];
    const parts = [variant.state === "starting" ? "starting" : null, ...metrics, ...engine].filter(
      Boolean,
    );
    const badge = el("span", { class: `badge ${variant.role}` }, variant.role);
    return el(
      "li",
      {},
      el("strong", {}, `Version ${variant.version}`),
      badge,
      el("span", {}, `${share(variant.share)} of requests`),
      el("span", { class: "hint", title: variant.engine_note ?? null }, parts.join(", ")),
    );
  });
  byId("variants").replaceChildren(...items);
}

/** Send the row, and show what comes back unless the reader has gone on since. */
async function predict() {
  const { model, signature, form } = page;
  page.asked += 1;
  const turn = page.asked;
  const current = () => turn === page.asked;
  const picture = form.image?.read() ?? null;
  const at = new Date();
  const begun = performance.now();
  busy(true);
  refusal("");
  try {
    const path = `models/${encodeURIComponent(model.name)}/predict`;
    const answer = await ask(path, { method: "POST", ...form.request() });
    const milliseconds = performance.now() - begun;
    if (!current()) return;
    form.refuse([]);
    const [prediction] = answer.predictions;
    if (!model.variants.some(({ version }) => version === prediction.version)) await refresh(model);
    showAnswer(model, signature, prediction, picture, { at, milliseconds });
  } catch (error) {
    if (current()) refused(error);
  } finally {
    if (current()) busy(false);
  }
}

/** Read a model's variants again: another version answers than those that are known here. */
async function refresh(model) {
  try {
    const { models } = await ask(`models/${encodeURIComponent(model.name)}`);
    model.variants = models[0].variants;
    showVariants();
  } catch {
    // The answer is there, and only the words about who gave it are fewer.
  }
}

function showAnswer(model, signature, prediction, picture, when) {
  byId("answer").replaceChildren(
    ...outputViews(signature, prediction, picture),
    whoAnswered(model, prediction, when),
    correction(model, signature, prediction) ?? "",
  );
  say(byId("spoken"), "");
  say(byId("spoken"), spoken(signature, prediction));
  byId("answer-panel").scrollIntoView({ block: "nearest", behavior: calm() ? "auto" : "smooth" });
}

function refused(error) {
  const elsewhere = page.form
    .refuse(error.errors ?? [])
    .map(({ field, message }) => [field, message].filter(Boolean).join(" "));
  const here = (error.errors ?? []).length - elsewhere.length;
  const named =
    here > 0
      ? [
          `${plural(here, "field")} cannot be sent as ${here === 1 ? "it is" : "they are"}; see below.`,
        ]
      : [];
  const again = error.retryAfter ? [`Try again in ${plural(error.retryAfter, "second")}.`] : [];
  const words = here + elsewhere.length > 0 ? [...named, ...elsewhere] : [error.message];
  refusal([...words, ...again].join(" "));
}

function refusal(text) {
  say(byId("refusal"), text);
  show(byId("refusal"), Boolean(text));
}

function busy(on) {
  byId("ask").setAttribute("aria-disabled", String(on));
  byId("answer-panel").setAttribute("aria-busy", String(on));
  say(byId("ask"), on ? "Asking" : "Predict");
}

function fillFromTable() {
  const found = rowOfTable(byId("csv").value, page.form.columns);
  const note = byId("csv-note");
  if (found === null) {
    say(note, "There is no row yet: paste a line of values, with or without a head above it.");
    return;
  }
  page.form.write(found.row);
  const others = found.others > 0 ? [`${plural(found.others, "further row")} left aside.`] : [];
  const unknown =
    found.unknown.length > 0
      ? [`Not among the inputs: ${found.unknown.slice(0, 5).join(", ")}.`]
      : [];
  const filled = plural(page.form.columns.filter((column) => column in found.row).length, "field");
  say(note, [`${filled} filled in.`, ...others, ...unknown].join(" "));
}

byId("model").addEventListener("change", choose);
byId("form").addEventListener("submit", (event) => {
  event.preventDefault();
  if (byId("ask").getAttribute("aria-disabled") !== "true") predict();
});
byId("form").addEventListener("taken", () => page.form.onlyImage && predict());
byId("example").addEventListener("click", () => page.form.writeExample());
byId("clear").addEventListener("click", () => page.form.clear());
byId("csv-fill").addEventListener("click", fillFromTable);
byId("retry").addEventListener("click", load);
listenEverywhere(() => page.form?.image);
load();
