// The helpers that every part of the page uses. Text goes in as text nodes only: nothing is ever parsed as HTML.

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** A new element: `make("p", {class: "x", title: "y"}, "text", otherElement)`; empty children are left out. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false && child !== ""));
  return element;
}

/** The direction a whole text is read in: right to left as soon as it holds Arabic letters. */
export const direction = (text) => (/[\u0600-\u06ff\u0750-\u077f\ufb50-\ufdff\ufe70-\ufeff]/.test(text) ? "rtl" : "ltr");

/** Resolves after so many milliseconds. */
export const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The time of day of a date, and nothing for a date that is none. */
export const clock = (at) => (Number.isNaN(at.getTime()) ? "" : at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" }));
