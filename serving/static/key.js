/** The API key: asked for when the endpoint wants one, kept until this tab is closed, shown nowhere. */

import { byId, say, show } from "./dom.js";

const PLACE = "modelyard-key";
let asking = null;

export const keyInUse = () => sessionStorage.getItem(PLACE);

/** Ask for a key; true once there is one, false if the reader would rather not. */
export function needKey(refusal) {
  asking ??= prompt(refusal).finally(() => {
    asking = null;
  });
  return asking;
}

/** Forget the key and begin anew. */
export function forgetKey() {
  sessionStorage.removeItem(PLACE);
  location.reload();
}

/** Let the head of the page say that a key is in use. */
export function showKey() {
  show(byId("forget-key"), keyInUse() !== null);
}

function prompt(refusal) {
  const dialog = byId("key-dialog");
  const input = byId("key");
  const error = byId("key-error");
  say(error, refusal ?? "");
  show(error, Boolean(refusal));
  input.setAttribute("aria-invalid", String(Boolean(refusal)));
  input.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(taken(dialog, input)), { once: true });
  });
}

function taken(dialog, input) {
  const key = input.value.trim();
  input.value = "";
  if (dialog.returnValue !== "use" || !key) return false;
  sessionStorage.setItem(PLACE, key);
  showKey();
  return true;
}

byId("key-form").addEventListener("submit", (event) => {
  event.preventDefault();
  byId("key-dialog").close("use");
});
byId("key-cancel").addEventListener("click", () => byId("key-dialog").close(""));
byId("forget-key").addEventListener("click", forgetKey);
showKey();
