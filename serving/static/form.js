/** The form of a model, made from its features. */

import { makeField } from "./fields.js";
import { exampleImage } from "./image.js";

const LONGEST_EXAMPLE = 24;

export class Form {
  constructor(signature) {
    this.fields = signature.inputs.map(makeField);
    this.columns = signature.inputs.map((feature) => feature.column);
    this.elements = this.fields.map((field) => field.element);
  }

  /** The field of the first image, if there is one. */
  get image() {
    return this.fields.find((field) => field.feature.type === "image");
  }

  /** Whether an image is all that the model takes, so that it can be asked at once. */
  get onlyImage() {
    return this.fields.length === 1 && this.image !== undefined;
  }

  /** The row as it is sent: JSON, or a form where there is an image. */
  request() {
    const given = this.fields.map((field) => [field.feature.column, field.read()]);
    const row = Object.fromEntries(given.filter(([, value]) => value !== undefined));
    if (!this.image) return { json: { rows: [row] } };
    const form = new FormData();
    for (const [column, value] of Object.entries(row)) {
      form.append(column, Array.isArray(value) ? value.join(" ") : value);
    }
    // A form without a field has no row, and its refusal would name no field.
    return Object.keys(row).length > 0 ? { form } : { json: { rows: [{}] } };
  }

  /** Write a row of texts by column; columns that it lacks are emptied. */
  write(row) {
    for (const field of this.fields) {
      field.refuse("");
      if (field.feature.type !== "image") field.write(row[field.feature.column]);
    }
  }

  /** Write values that the model takes, so that it can be tried. */
  async writeExample() {
    const rows = this.fields.map(({ feature }) => [feature.column, exampleOf(feature)]);
    this.write(Object.fromEntries(rows));
    if (this.image) this.image.write(await exampleImage(this.image.feature));
  }

  clear() {
    this.write({});
    this.image?.write(null);
  }

  /** Show refusals at their fields and go to the first; return those that have no field here. */
  refuse(errors) {
    for (const field of this.fields) field.refuse("");
    const elsewhere = [];
    for (const error of errors) {
      const field = this.fields.find((item) => item.feature.column === error.field);
      if (field) field.refuse(error.message);
      else elsewhere.push(error);
    }
    this.fields.find((field) => field.input.hasAttribute("aria-invalid"))?.input.focus();
    return elsewhere;
  }
}

function exampleOf(feature) {
  const { type, categories, middle, steps } = feature;
  if (categories?.length) return categories[0];
  if (type === "number") return middle ?? 1.5;
  if (type === "timeseries" || type === "vector")
    return wave(Math.min(steps ?? LONGEST_EXAMPLE, LONGEST_EXAMPLE));
  if (type === "date") return "2026-01-31";
  return type === "text" ? "Return the sum of the elements along an axis." : "text";
}

const wave = (length) =>
  Array.from({ length }, (_, step) => Math.round(100 * Math.sin(step / 2)) / 100);
