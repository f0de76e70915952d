// The phone's texts: what was typed goes out by the simulator's carrier, what Rasid answers comes through the inbox.

import { byId, direction, make } from "./dom.js";

export class Messenger {
  /** `number()` is the line that texts; without a carrier of the simulator there is no tab. */
  constructor({ number }) {
    this.form = byId("messenger");
    if (!this.form) return;
    this.number = number;
    this.thread = byId("thread");
    this.typed = byId("compose");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.send();
    });
    this.typed.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      this.form.requestSubmit();
    });
    for (const chip of this.form.querySelectorAll("[data-text]")) chip.addEventListener("click", () => this.fill(chip.dataset.text));
    for (const tab of document.querySelectorAll("[data-tab]")) tab.addEventListener("change", () => this.turn(tab.value));
    this.turn(document.querySelector("[data-tab]:checked").value);
  }

  /** Whether the phone shows its texts. */
  get open() {
    return Boolean(this.form) && !this.form.hidden;
  }

  /** Something is dialled: the phone shows it. */
  close() {
    if (!this.open) return;
    document.querySelector('[data-tab][value="dial"]').checked = true;
    this.turn("dial");
  }

  /** Show `dial` or `text`. */
  turn(tab) {
    this.form.hidden = tab !== "text";
    for (const part of document.querySelectorAll("[data-of-dial]")) part.hidden = tab === "text";
    this.toEnd();
  }

  /** Another line: its thread begins with what the inbox still holds. */
  reset() {
    if (!this.form) return;
    this.thread.replaceChildren();
    byId("text-from").textContent = this.number() || "no line";
  }

  /** Replace what is typed, ready to be sent. */
  fill(text) {
    this.typed.value = text;
    this.typed.focus({ preventScroll: true });
  }

  /** A text that came in. */
  received({ from, text, at }) {
    if (this.form) this.add("in", from, text, new Date(at));
  }

  async send() {
    const text = this.typed.value.trim();
    const from = this.number();
    if (!text || !from) return;
    this.typed.value = "";
    const { path, to } = this.form.dataset;
    const sent = this.add("out", from, text, new Date());
    // The id is the carrier's: the same text sent again would carry it again.
    const body = new URLSearchParams({ id: newId(), from, to, text });
    const answer = await fetch(path, { method: "POST", body }).catch(() => null);
    sent.dataset.state = answer?.ok ? "sent" : "failed";
    sent.querySelector(".text-state").textContent = answer?.ok ? "sent" : "not sent";
  }

  add(way, from, text, at) {
    const time = Number.isNaN(at.getTime()) ? "" : at.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
    const item = make("li", { class: `bubble ${way}` },
      make("p", { class: "text-head" }, make("b", { dir: "auto" }, from), make("span", {}, time)),
      make("p", { class: "text-body", dir: direction(text) }, text),
      way === "out" && make("p", { class: "text-state" }, "sending"),
    );
    this.thread.append(item);
    this.toEnd();
    return item;
  }

  toEnd() {
    this.thread.scrollTop = this.thread.scrollHeight;
  }
}

/** Random, and unlike `crypto.randomUUID` there on plain HTTP too. */
function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (octet) => octet.toString(16).padStart(2, "0")).join("");
}
