"use strict";
// Makes rows what they are now, and leaves every node that stays: neither a focus nor a press that has begun is lost.

// When an element's attributes were last changed here, by this page's clock.
export const changedAt = new WeakMap();

const partOf = (node) => node.dataset?.part ?? "";

const becomeAttributes = (old, now) => {
  const before = old.cloneNode(false);
  for (const { name } of [...old.attributes]) if (!now.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of now.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
  if (!before.isEqualNode(old)) changedAt.set(old, performance.now());
};

// Parts that are there before and after are the same nodes, whatever came or went between them.
const becomeChildren = (old, now) => {
  const parts = new Set([...now.children].map(partOf));
  for (const one of [...old.children]) if (!parts.has(partOf(one))) one.remove();
  let at = old.firstChild;
  for (const wanted of [...now.childNodes]) {
    const part = partOf(wanted);
    while (part && at && partOf(at) !== part && [...old.children].some((one) => partOf(one) === part)) {
      const next = at.nextSibling;
      at.remove();
      at = next;
    }
    if (at && at.nodeName === wanted.nodeName && partOf(at) === part) {
      const next = at.nextSibling;
      become(at, wanted);
      at = next;
    } else {
      old.insertBefore(wanted, at);
    }
  }
  while (at) {
    const next = at.nextSibling;
    at.remove();
    at = next;
  }
};

const become = (old, now) => {
  if (old.isEqualNode(now)) return;
  if (old.nodeType === Node.TEXT_NODE) {
    old.data = now.data;
    return;
  }
  becomeAttributes(old, now);
  becomeChildren(old, now);
};

// html: rows with ids, of our own templates, which escape every value. ids: all rows in their order; those of html
// where none are given; null: as they are.
export const patch = (place, html, ids) => {
  const fresh = place.cloneNode(false);
  fresh.innerHTML = html;
  const known = new Map([...place.children].map((row) => [row.id, row]));
  const order = ids === undefined ? [...fresh.children].map((row) => row.id) : ids;
  for (const row of [...fresh.children]) {
    if (known.has(row.id)) become(known.get(row.id), row);
    else known.set(row.id, place.appendChild(row));
  }
  if (order === null) return;
  const wanted = new Set(order);
  for (const row of [...place.children]) if (!wanted.has(row.id)) row.remove();
  let at = place.firstElementChild;
  for (const id of order) {
    const row = known.get(id);
    if (row === at) at = at.nextElementSibling;
    else if (row) place.insertBefore(row, at);
  }
};
