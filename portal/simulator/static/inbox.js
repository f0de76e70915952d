// The inbox: texts that Rasid sent to the chosen line, over server-sent events.

import { byId, direction, make } from "./dom.js";

export class Inbox {
  /** `onText(text)` is told each text once. */
  constructor({ onText }) {
    this.onText = onText;
    this.list = byId("texts");
    this.source = null;
    this.seen = new Set();
  }

  /** Show the texts of this number from now on. */
  open(msisdn) {
    this.close();
    if (!msisdn) return;
    this.source = new EventSource(`/simulator/inbox?msisdn=${encodeURIComponent(msisdn)}`);
    // The carrier's history comes first, in one go: only what comes later rings.
    this.quietUntil = performance.now() + 1000;
    this.source.addEventListener("open", () => this.wire("live"));
    this.source.addEventListener("error", () => this.wire("reconnecting"));
    this.source.addEventListener("message", (event) => this.add(JSON.parse(event.data)));
  }

  close() {
    this.source?.close();
    this.seen.clear();
    this.list.replaceChildren();
    byId("texts-empty").hidden = false;
    byId("mail").hidden = true;
    this.wire("connecting");
  }

  wire(state) {
    byId("inbox-wire").dataset.state = state;
    byId("inbox-wire").textContent = state;
  }

  add({ message_id: id, from, text, at }) {
    // Delivery is at least once: a message that comes again is the same message.
    if (this.seen.has(id)) return;
    this.seen.add(id);
    const time = new Date(at);
    const shown = Number.isNaN(time.getTime()) ? at : time.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
    this.list.prepend(
      make("li", { class: "text" },
        make("p", { class: "text-head" }, make("b", {}, from), make("time", { datetime: at }, shown)),
        make("p", { class: "text-body", dir: direction(text) }, text),
      ),
    );
    this.onText({ from, text, at });
    byId("texts-empty").hidden = true;
    byId("mail").hidden = performance.now() < this.quietUntil;
  }

  /** The person has looked. */
  read() {
    byId("mail").hidden = true;
  }
}
