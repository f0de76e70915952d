// The helpers that every part of the page uses. Text goes in as text nodes only: nothing is ever parsed as HTML.

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** The part of this name within `root`; null where the page has none. */
export const part = (root, name) => root.querySelector(`[data-part="${name}"]`);

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

/** A text in parts, its addresses as links: what a smartphone does with them. */
export const linked = (text) => text.split(/(https?:\/\/\S+)/).map((each, place) => (place % 2 ? make("a", { href: each, target: "_blank", rel: "noreferrer" }, each) : each));

/** Resolves after so many milliseconds. */
export const wait = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** The time of day of a date, and nothing for a date that is none. */
export const clock = (at) => (Number.isNaN(at.getTime()) ? "" : at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" }));

/** Random, and unlike `crypto.randomUUID` there on plain HTTP too. */
export const randomHex = () => Array.from(crypto.getRandomValues(new Uint8Array(16)), (octet) => octet.toString(16).padStart(2, "0")).join("");

/** Long numbers are vouchers or telephone numbers: panels show their ends, as the product does. */
export const masked = (input) => input.replace(/\d{6,}/g, (digits) => `…${digits.slice(-4)}`);

/** Ask our own server; the JSON that it answers, or null where it does not. */
export async function ask(path, method = "GET", body = undefined) {
  const options = body === undefined ? { method } : { method, headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  try {
    const answer = await fetch(`/simulator/${path}`, options);
    return answer.ok ? await answer.json() : null;
  } catch {
    return null;
  }
}
