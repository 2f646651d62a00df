/** Change a shown tree into a newly made one with as few changes as there are differences. */

/**
 * What stays the same is not touched, so that focus, selection, an open detail and the place of a
 * screen reader stay too. Children with ids are found again by them wherever they have moved.
 */
export function morph(shown, fresh) {
  if (shown.nodeName !== fresh.nodeName) {
    shown.replaceWith(fresh);
    return;
  }
  if (shown.nodeType === Node.TEXT_NODE) {
    if (shown.data !== fresh.data) shown.data = fresh.data;
    return;
  }
  copyAttributes(shown, fresh);
  morphChildren(shown, [...fresh.childNodes]);
}

/** The same for the children of an element. */
export function morphChildren(shown, fresh) {
  for (const [place, child] of fresh.entries()) {
    const here = partner(shown, child, place);
    if (here) morph(here, child);
    else shown.insertBefore(child, shown.childNodes[place] ?? null);
  }
  while (shown.childNodes.length > fresh.length) shown.lastChild.remove();
}

function partner(shown, child, place) {
  const here = shown.childNodes[place];
  if (!child.id) return here?.id ? null : here;
  if (here?.id === child.id) return here;
  const moved = [...shown.children].find((other) => other.id === child.id);
  if (moved) shown.insertBefore(moved, here ?? null);
  return moved ?? null;
}

function copyAttributes(shown, fresh) {
  for (const { name, value } of fresh.attributes) {
    if (name !== "style" && shown.getAttribute(name) !== value) shown.setAttribute(name, value);
  }
  for (const { name } of [...shown.attributes]) {
    // Whether a detail is open is the reader's business.
    if (name !== "style" && name !== "open" && !fresh.hasAttribute(name))
      shown.removeAttribute(name);
  }
  const style = fresh.style?.cssText ?? "";
  if ((shown.style?.cssText ?? "") !== style) shown.style.cssText = style;
}
