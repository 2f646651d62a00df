/** The same request from a program: curl and Python, to copy. */

import { el, say } from "./dom.js";

const EXAMPLES = { timeseries: [0.1, 0.2], vector: [0.1, 0.2], date: "2026-01-31" };

/** Write both programs for a model into `place`. */
export function showSnippets(place, model, signature, withKey) {
  const url = new URL(`models/${encodeURIComponent(model.name)}/predict`, document.baseURI).href;
  place.replaceChildren(
    snippet("curl", curlOf(url, signature, withKey)),
    snippet("Python", pythonOf(url, signature, withKey)),
  );
}

/** One line that sends a row; an image goes as a file. */
export function curlOf(url, signature, withKey) {
  const key = withKey ? ' \\\n  -H "Authorization: Bearer $MODELYARD_KEY"' : "";
  if (hasImage(signature)) {
    const parts = signature.inputs.map(
      ({ column, type }) =>
        ` \\\n  -F ${shell(`${column}=${type === "image" ? "@FILE.png" : "VALUE"}`)}`,
    );
    return `curl ${shell(url)}${key}${parts.join("")}${maskEnd(signature)}`;
  }
  const body = `{"rows": [${rowOf(signature)}]}`;
  return `curl ${shell(url)}${key} \\\n  -H 'Content-Type: application/json' \\\n  -d ${shell(body)}`;
}

/** A few lines for a script, with httpx. */
export function pythonOf(url, signature, withKey) {
  const head = withKey ? ["import os", "", "import httpx", ""] : ["import httpx", ""];
  const key = withKey
    ? ['    headers={"Authorization": f"Bearer {os.environ[\'MODELYARD_KEY\']}"},']
    : [];
  return [
    ...head,
    "answer = httpx.post(",
    `    ${JSON.stringify(url)},`,
    ...bodyOf(signature),
    ...key,
    "    timeout=30,",
    ")",
    "answer.raise_for_status()",
    'print(answer.json()["predictions"][0])',
  ].join("\n");
}

function bodyOf(signature) {
  if (!hasImage(signature)) return [`    json={"rows": [${rowOf(signature, "    ")}]},`];
  const images = signature.inputs.filter(({ type }) => type === "image");
  const others = signature.inputs.filter(({ type }) => type !== "image");
  const files = images.map(({ column }) => `${JSON.stringify(column)}: open("FILE.png", "rb")`);
  const data = others.map(({ column }) => `${JSON.stringify(column)}: "VALUE"`);
  return [
    `    files={${files.join(", ")}},`,
    ...(data.length > 0 ? [`    data={${data.join(", ")}},`] : []),
  ];
}

const hasImage = (signature) => signature.inputs.some(({ type }) => type === "image");

function maskEnd(signature) {
  const mask = signature.outputs.find(({ type }) => type === "image");
  return mask
    ? ` \\\n  | jq -r '.predictions[0][${JSON.stringify(mask.name)}].prediction' | base64 -d > mask.png`
    : "";
}

/** A row as JSON, which is Python too for it holds no null, true or false; a line a column. */
function rowOf(signature, indent = "") {
  const lines = signature.inputs.map(
    (feature) => `${indent}  ${json(feature.column)}: ${json(exampleOf(feature))}`,
  );
  return lines.length > 1 ? `{\n${lines.join(",\n")}\n${indent}}` : `{${lines[0].trim()}}`;
}

const json = (value) =>
  Array.isArray(value) ? `[${value.map(json).join(", ")}]` : JSON.stringify(value);

function exampleOf({ type, categories, middle }) {
  return categories?.[0] ?? (type === "number" ? (middle ?? 1.5) : (EXAMPLES[type] ?? "text"));
}

/** A word for the shell, whatever is in it. */
export const shell = (text) =>
  /^[\w@%+=:,./-]+$/u.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

function snippet(language, text) {
  const code = el(
    "pre",
    { tabindex: 0, role: "group", "aria-label": `${language} program` },
    el("code", {}, text),
  );
  const copied = el("span", { class: "hint", role: "status" });
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
      say(copied, "Copied.");
    } catch {
      // Without TLS a browser lends no clipboard: choose the text, so that one key copies it.
      getSelection().selectAllChildren(code);
      say(copied, "Press Ctrl+C or Cmd+C to copy.");
    }
    setTimeout(() => say(copied, ""), 4000);
  };
  const button = el(
    "button",
    { type: "button", class: "button quiet small", onclick: copy },
    `Copy ${language}`,
  );
  return el(
    "section",
    { class: "snippet" },
    el(
      "div",
      { class: "row between" },
      el("h3", {}, language),
      el("span", { class: "row" }, copied, button),
    ),
    code,
  );
}
