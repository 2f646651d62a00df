/** The page at /predictions/ID: one answer, link by link back to the data and the code. */

import { ask } from "./api.js";
import { chainOf } from "./chain.js";
import { byId, el, say, show } from "./dom.js";
import { plural } from "./words.js";

const chain = byId("chain");

/** The id in the page's address; empty on the page that asks for one. */
const inAddress = () => {
  const [, id] = /\/predictions\/([^/]+)\/?$/.exec(location.pathname) ?? [];
  return id ? decodeURIComponent(id) : "";
};

async function read(id) {
  state("Looking it up.");
  show(byId("try-again"), false);
  try {
    const found = await ask(location.pathname);
    document.title = `Prediction ${id} · Modelyard`;
    chain.replaceChildren(...chainOf(found).map(linkView));
    show(chain);
    const held = found.alerts.length;
    state(held ? `${plural(held, "alert")} held when it was answered.` : "", held ? "bad" : "");
  } catch (error) {
    state(error.message, "bad");
    show(byId("try-again"), error.status !== 404);
  }
}

/** One link of the chain: a title and its facts. */
function linkView({ title, facts, note }) {
  return el(
    "li",
    { class: "panel" },
    el("h2", {}, title),
    note ? el("p", { class: "hint" }, note) : null,
    el("dl", { class: "facts" }, facts.map(factView)),
  );
}

const factView = ({ name, value, code, href }) =>
  el("div", {}, el("dt", {}, name), el("dd", { class: "figure" }, shown(value, code, href)));

function shown(value, code, href) {
  const text = code ? el("code", { class: "id" }, value) : value;
  return href ? el("a", { href, rel: "noreferrer" }, text) : text;
}

function state(text, kind = "") {
  const note = byId("state");
  say(note, text);
  note.className = `note ${kind}`;
  show(note, Boolean(text));
}

byId("find").addEventListener("submit", (event) => {
  event.preventDefault();
  const id = byId("prediction").value.trim();
  if (id) location.assign(new URL(`${chain.dataset.root}predictions/${encodeURIComponent(id)}`, location));
  else state("Give the id of a prediction.", "bad");
});
byId("retry").addEventListener("click", () => read(inAddress()));
const id = inAddress();
byId("prediction").value = id;
if (id) read(id);
