/** The page at /traffic: read every two seconds, until the reader pauses it. */

import { Away, ask } from "./api.js";
import { byId, el, say, show } from "./dom.js";
import { ledgerRows } from "./ledger.js";
import { morphChildren } from "./morph.js";
import { modelView } from "./variants.js";
import { moment, number, plural } from "./words.js";

const EVERY_MS = 2000;
const TOO_MANY = 429;
const page = { paused: false, timer: null, seen: null, newest: null };

/** Read the traffic once, and again after a while. */
async function turn() {
  let wait = EVERY_MS;
  try {
    draw(await ask("traffic", { quiet: page.seen !== null }));
  } catch (error) {
    wait = Math.max(EVERY_MS, 1000 * (error.retryAfter ?? 0));
    if (missed(error, wait)) return;
  }
  // Another turn may have begun meanwhile, when the reader came back to the page.
  clearTimeout(page.timer);
  if (!page.paused && !document.hidden) page.timer = setTimeout(turn, wait);
}

/** Say why there is nothing new; true where asking again would not help. */
function missed(error, wait) {
  const refused = !(error instanceof Away) && error.status < 500 && error.status !== TOO_MANY;
  const again = refused ? "" : ` Trying again every ${plural(wait / 1000, "second")}.`;
  const since = page.seen ? ` What is shown is of ${moment(page.seen)}.` : "";
  state(`${error.message}${again}${since}`, "bad");
  show(byId("try-again"), refused);
  return refused;
}

function draw(traffic) {
  const empty = traffic.models.length === 0;
  page.seen = traffic.at;
  state(
    traffic.database ??
      (empty ? "No model is deployed yet; the start page says how to get one." : ""),
    traffic.database ? "bad" : "",
  );
  show(byId("try-again"), false);
  show(byId("traffic"));
  show(byId("pause"));
  say(byId("fresh"), `As of ${moment(traffic.at)}`);
  morphChildren(byId("models"), traffic.models.map(modelView));
  morphChildren(byId("log"), logFacts(traffic.prediction_log));
  morphChildren(byId("entries"), ledgerRows(traffic.ledger));
  show(byId("ledger"), traffic.ledger.length > 0);
  show(byId("no-ledger"), traffic.ledger.length === 0);
  announce(traffic.ledger);
}

/** Say what was decided since the page was opened; counts change too often to be spoken. */
function announce([newest]) {
  if (page.newest !== null && newest && newest.id !== page.newest) {
    say(byId("news"), `${newest.model}: ${newest.action}. ${newest.reason}`);
  }
  page.newest = newest?.id ?? "";
}

function logFacts(log) {
  const facts = {
    Written: number(log.written),
    Waiting: number(log.queued),
    Dropped: number(log.dropped),
    State: log.failing ?? "in order",
  };
  return Object.entries(facts).map(([name, value]) =>
    el("div", {}, el("dt", {}, name), el("dd", { class: "figure" }, value)),
  );
}

function state(text, kind = "") {
  const note = byId("state");
  say(note, text);
  note.className = `note ${kind}`;
  show(note, Boolean(text));
}

byId("pause").addEventListener("click", () => {
  page.paused = !page.paused;
  byId("pause").setAttribute("aria-pressed", String(page.paused));
  if (page.paused) clearTimeout(page.timer);
  else turn();
});
byId("retry").addEventListener("click", () => {
  page.seen = null;
  turn();
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && !page.paused && page.seen !== null) turn();
});
turn();
