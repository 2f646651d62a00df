/** A mask over the image it belongs to: a colour a class, as strong as the reader likes. */

import { el, newId, say } from "./dom.js";
import { percent } from "./words.js";

// Told apart also by readers who see few colours (Okabe and Ito, 2008).
const COLOURS = [
  [230, 159, 0],
  [86, 180, 233],
  [0, 158, 115],
  [240, 228, 66],
  [213, 94, 0],
  [204, 121, 167],
];
const STRENGTH = 60;
const SMALL = 128;

/** Show a mask; `picture` is the file that was sent, null where this page does not have it. */
export function maskView(feature, output, picture) {
  const canvas = el("canvas", { class: "mask-colours" });
  const stage = el("div", { class: "stage", role: "img" }, canvas);
  stage.setAttribute("aria-label", describe(feature, output, picture));
  const legend = el("ul", { class: "legend" });
  const note = el("p", { class: "hint" });
  paint(canvas, legend, note, output.prediction, feature).then(() =>
    underlay(stage, picture, note),
  );
  const share = el(
    "p",
    { class: "verdict" },
    el("output", { class: "value" }, shareOf(output)),
    el("span", { class: "sure" }, "of the image"),
  );
  return el(
    "section",
    { class: "output" },
    el("h3", {}, feature.name),
    share,
    stage,
    strength(canvas),
    legend,
    note,
    save(feature, output),
  );
}

function describe(feature, output, picture) {
  const over = picture ? "over the image that was sent" : "";
  return `The mask ${feature.name} ${over}; it covers ${shareOf(output)} of the pixels`;
}

const shareOf = (output) =>
  typeof output.share === "number" ? percent(output.share) : "an unknown share";

function strength(canvas) {
  const id = newId("strength");
  const value = el("output", { for: id, class: "figure" });
  const input = el("input", { type: "range", id, min: 0, max: 100, step: 5, value: STRENGTH });
  const settle = () => {
    canvas.style.opacity = input.value / 100;
    say(value, `${input.value}\u202f%`);
    input.setAttribute("aria-valuetext", `${input.value} per cent`);
  };
  input.addEventListener("input", settle);
  settle();
  return el(
    "div",
    { class: "slider" },
    el("label", { for: id }, "Strength of the mask"),
    input,
    value,
  );
}

/** Turn grey values into colours; the smallest one is the background and stays clear. */
async function paint(canvas, legend, note, base64, feature) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(new Blob([bytesOf(base64)], { type: "image/png" }));
  } catch {
    say(note, "This browser cannot show the mask.");
    return;
  }
  [canvas.width, canvas.height] = [bitmap.width, bitmap.height];
  const brush = canvas.getContext("2d", { willReadFrequently: true });
  brush.drawImage(bitmap, 0, 0);
  const pixels = brush.getImageData(0, 0, bitmap.width, bitmap.height);
  const counts = recolour(pixels.data, greysOf(feature));
  brush.putImageData(pixels, 0, 0);
  legend.replaceChildren(
    ...counts.map((count, place) => legendItem(count, place, pixels.data.length / 4)),
  );
}

const bytesOf = (base64) => Uint8Array.from(atob(base64), (sign) => sign.codePointAt(0));

const greysOf = (feature) =>
  (feature.categories ?? ["0", "255"]).map(Number).sort((one, other) => one - other);

function recolour(data, greys) {
  const counts = greys.slice(1).map((grey) => ({ grey, pixels: 0 }));
  for (let at = 0; at < data.length; at += 4) {
    const place = greys.indexOf(data[at]) - 1;
    if (place < 0) {
      data[at + 3] = 0;
      continue;
    }
    data.set(COLOURS[place % COLOURS.length], at);
    counts[place].pixels += 1;
  }
  return counts;
}

function legendItem({ grey, pixels }, place, all) {
  const mark = el("span", { class: "swatch", "aria-hidden": "true" });
  mark.style.backgroundColor = `rgb(${COLOURS[place % COLOURS.length].join(" ")})`;
  return el("li", {}, mark, `class ${grey}: ${percent(pixels / all)}`);
}

/** Lay the image under its mask, unturned: the model reads pixels as they are stored. */
function underlay(stage, picture, note) {
  if (!picture) return;
  const image = el("img", { class: "under", alt: "", src: URL.createObjectURL(picture) });
  image.addEventListener("load", () => {
    URL.revokeObjectURL(image.src);
    image.classList.toggle("tiny", image.naturalWidth < SMALL);
  });
  image.addEventListener("error", () => {
    image.remove();
    say(note, "This browser cannot show the image that was sent; the mask stands alone.");
  });
  stage.prepend(image);
}

function save(feature, output) {
  const href = `data:image/png;base64,${output.prediction}`;
  return el(
    "a",
    { class: "button quiet small", href, download: `${feature.name}.png` },
    "Save the mask as PNG",
  );
}
