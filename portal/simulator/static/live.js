// What the phones are told without asking, over one stream of server-sent events for all of them.

import { byId } from "./dom.js";
import { say } from "./words.js";

const WIRE = { connecting: say("connecting"), live: say("live"), reconnecting: say("reconnecting") };

export class Live {
  /** `onText(text)` is told each text, perhaps again; `onLine(line)` and `onPayer(payer)` what has changed. */
  constructor({ onText, onLine, onPayer }) {
    this.handlers = { onText, onLine, onPayer };
    this.source = null;
  }

  /** Follow these numbers from now on: all texts that are kept for them are told first, and what they hold. */
  open(numbers) {
    const query = [...new Set(numbers.filter(Boolean))].map((number) => `msisdn=${encodeURIComponent(number)}`).join("&");
    this.source?.close();
    this.wire("connecting");
    if (!query) return;
    this.source = new EventSource(`/simulator/live?${query}`);
    this.source.addEventListener("open", () => this.wire("live"));
    this.source.addEventListener("error", () => this.wire("reconnecting"));
    this.source.addEventListener("message", (event) => this.handlers.onText(JSON.parse(event.data)));
    this.source.addEventListener("line", (event) => this.handlers.onLine(JSON.parse(event.data)));
    this.source.addEventListener("payer", (event) => this.handlers.onPayer(JSON.parse(event.data)));
  }

  wire(state) {
    byId("wire").dataset.state = state;
    byId("wire").textContent = WIRE[state];
  }
}
