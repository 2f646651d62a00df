/** The field of an image: drop, choose, paste or photograph it, and see what was taken. */

import { el, say, show } from "./dom.js";
import { number } from "./words.js";

const SMALL = 128;

/** Make the field; its `read` returns the file itself, byte by byte as it was given. */
export function imageField(feature, place) {
  const input = place.tie(el("input", { type: "file", accept: "image/*", class: "file" }));
  const camera = el("input", {
    type: "file",
    accept: "image/*",
    capture: "environment",
    class: "unseen",
  });
  const photo = el("label", { class: "button quiet only-touch" }, "Take a photo", camera);
  const picture = el("img", { class: "preview", alt: "", hidden: true });
  const caption = el("p", { class: "hint", role: "status" });
  const zone = el(
    "div",
    { class: "drop" },
    picture,
    el("div", { class: "row" }, input, photo),
    caption,
  );
  say(place.hint, `Drop, paste or choose an image${scaled(feature)}`);
  const holder = new Holder(picture, caption);
  const field = place.finish(input, zone, { read: () => holder.file ?? undefined });
  field.take = (file) => {
    field.refuse("");
    holder.hold(file);
    giveTo(input, file);
    if (file) field.element.dispatchEvent(new CustomEvent("taken", { bubbles: true }));
  };
  field.write = (value) => field.take(value instanceof Blob ? value : null);
  for (const source of [input, camera]) {
    source.addEventListener("change", () => source.files[0] && field.take(source.files[0]));
  }
  listenForDrops(zone, field.take);
  return field;
}

/** Let the input name a file that came another way than through it. */
function giveTo(input, file) {
  const files = new DataTransfer();
  if (file) files.items.add(file);
  input.files = files.files;
}

/** Keeps the file, shows it and says what it is. */
class Holder {
  constructor(picture, caption) {
    this.picture = picture;
    this.caption = caption;
    this.file = null;
    picture.addEventListener("load", () => {
      const [width, height] = [picture.naturalWidth, picture.naturalHeight];
      picture.classList.toggle("tiny", width < SMALL);
      say(caption, `${size(this.file.size)}, ${number(width)} × ${number(height)} pixels`);
    });
    picture.addEventListener("error", () => {
      show(picture, false);
      say(
        caption,
        `${size(this.file.size)}; this browser cannot show it, but the endpoint may take it`,
      );
    });
  }

  hold(file) {
    if (this.file) URL.revokeObjectURL(this.picture.src);
    this.file = file;
    show(this.picture, Boolean(file));
    if (!file) {
      this.picture.removeAttribute("src");
      say(this.caption, "");
      return;
    }
    this.picture.alt = "The image that was chosen";
    this.picture.src = URL.createObjectURL(file);
    say(this.caption, size(file.size));
  }
}

/** An image of the size that the model reads, drawn here: a bright ring on a dark ground. */
export function exampleImage(feature) {
  const [width, height] = [feature.width ?? 64, feature.height ?? 64];
  const canvas = el("canvas", { width, height });
  const brush = canvas.getContext("2d");
  brush.fillRect(0, 0, width, height);
  brush.lineWidth = Math.max(2, height / 9);
  brush.strokeStyle = "white";
  brush.beginPath();
  brush.ellipse(width / 2, height / 2, width / 5, height / 3.2, 0, 0, 2 * Math.PI);
  brush.stroke();
  return new Promise((resolve) => {
    canvas.toBlob(
      (blob) => resolve(new File([blob], "example.png", { type: "image/png" })),
      "image/png",
    );
  });
}

/** Let images that are pasted or dropped anywhere on the page go to the field that `find` returns. */
export function listenEverywhere(find) {
  document.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files ?? [])].find((item) =>
      item.type.startsWith("image/"),
    );
    if (!file || !find()) return;
    event.preventDefault();
    find().take(file);
  });
  // A file that misses the field must not replace the page.
  for (const name of ["dragover", "drop"]) {
    document.addEventListener(name, (event) => {
      if (!event.dataTransfer?.types.includes("Files") || event.defaultPrevented) return;
      event.preventDefault();
      if (name === "drop" && event.dataTransfer.files[0]) find()?.take(event.dataTransfer.files[0]);
    });
  }
}

function listenForDrops(zone, take) {
  const mark = (on) => (event) => {
    event.preventDefault();
    zone.classList.toggle("over", on);
  };
  zone.addEventListener("dragenter", mark(true));
  zone.addEventListener("dragover", mark(true));
  zone.addEventListener("dragleave", mark(false));
  zone.addEventListener("drop", (event) => {
    mark(false)(event);
    if (event.dataTransfer.files[0]) take(event.dataTransfer.files[0]);
  });
}

function scaled({ width, height }) {
  return width && height
    ? `; the model reads ${number(width)}\u00a0×\u00a0${number(height)} pixels of it`
    : "";
}

const size = (bytes) =>
  bytes < 10_000 ? `${number(bytes)} bytes` : `${number(Math.round(bytes / 1000))} kB`;
