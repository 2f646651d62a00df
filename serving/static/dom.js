/** Make and change elements without markup in strings, so that no name can become HTML. */

/** Make an element: properties that start with "on" listen, true is a bare attribute, null is none. */
export function el(tag, properties = {}, ...children) {
  return adorn(document.createElement(tag), properties, children);
}

/** The same for a drawing. */
export function svg(tag, properties = {}, ...children) {
  return adorn(document.createElementNS("http://www.w3.org/2000/svg", tag), properties, children);
}

export const byId = (id) => document.getElementById(id);

/** Put a text into an element only if it is another: a live region then stays silent. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Show or hide. */
export function show(element, shown = true) {
  element.hidden = !shown;
}

let count = 0;

/** An id that this page has not used yet. */
export const newId = (stem) => `${stem}-${(count += 1)}`;

/** Whether the reader asked for less motion. */
export const calm = () => matchMedia("(prefers-reduced-motion: reduce)").matches;

function adorn(element, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== null && value !== undefined && value !== false)
      element.setAttribute(name, value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}
