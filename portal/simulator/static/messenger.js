// The phone's texts: what was typed goes out by the simulator's carrier, what Rasid answers comes through the inbox.

import { compose } from "./compose.js";
import { clock, direction, linked, make, part, randomHex } from "./dom.js";
import { say } from "./words.js";

/** The name of the simulator's carrier is the last part of its path, before a secret. */
const carrierOf = (path) => path.split("/")[2];

export class Messenger {
  /** `number()` is the line that texts; `onSent(hop)` is told of each text. Without a carrier of the simulator there is no tab. */
  constructor(root, { number, onSent }) {
    this.root = root;
    this.form = part(root, "messenger");
    if (!this.form) return;
    this.number = number;
    this.onSent = onSent;
    this.thread = part(root, "thread");
    this.fill = compose(this.form, part(root, "compose"), (text) => Boolean(this.number()) && void this.send(text));
  }

  /** Whether the phone shows its texts. */
  get open() {
    return Boolean(this.form) && !this.form.hidden;
  }

  /** Another line: its thread begins with what the inbox still holds. */
  reset() {
    if (!this.form) return;
    this.thread.replaceChildren();
    part(this.root, "text-from").textContent = this.number() || say("no line");
  }

  /** A text that came in. */
  received({ from, text, at }) {
    if (this.form) this.add("in", from, text, new Date(at));
  }

  async send(text) {
    const from = this.number();
    const { path, to } = this.form.dataset;
    const sent = this.add("out", from, text, new Date());
    // The id is the carrier's: the same text sent again would carry it again.
    const id = randomHex();
    const started = performance.now();
    const answer = await fetch(path, { method: "POST", body: new URLSearchParams({ id, from, to, text }) }).catch(() => null);
    sent.dataset.state = answer?.ok ? "sent" : "failed";
    sent.querySelector(".text-state").textContent = answer?.ok ? say("sent") : say("not sent");
    const ms = performance.now() - started;
    this.onSent({ channel: "SMS", session: `text:${from}`, trace: `${carrierOf(path)}:${id}`, input: text, ok: Boolean(answer?.ok), ms });
  }

  add(way, from, text, at) {
    const item = make("li", { class: `bubble ${way}` },
      make("p", { class: "text-head" }, make("b", { dir: "auto" }, from), make("span", {}, clock(at))),
      make("p", { class: "text-body", dir: direction(text) }, ...linked(text)),
      way === "out" && make("p", { class: "text-state" }, say("sending")),
    );
    this.thread.append(item);
    this.toEnd();
    return item;
  }

  toEnd() {
    if (this.form) this.thread.scrollTop = this.thread.scrollHeight;
  }
}
