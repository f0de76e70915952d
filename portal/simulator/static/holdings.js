// What the phone's line holds, as the books have it: money, and a gauge for each bundle.

import { make, part } from "./dom.js";
import { say, shownAmount } from "./words.js";

/** Gauges that have room above a phone. */
const MOST = 3;

export class Holdings {
  constructor(root) {
    this.money = part(root, "money");
    this.list = part(root, "gauges");
    this.clear();
  }

  clear() {
    this.now = null;
    this.money.textContent = "…";
    this.list.replaceChildren();
  }

  /** Show a line as the books have it; returns what it was before, null the first time. */
  show(line) {
    const before = this.now;
    this.now = line;
    if (!line.known) {
      this.money.textContent = say("no such line");
      this.list.replaceChildren();
      return before;
    }
    this.money.textContent = line.money;
    // What moves stays in its place, so that its bar is seen moving.
    const kept = new Map([...this.list.children].map((item) => [item.dataset.id, item]));
    this.list.replaceChildren(...line.gauges.slice(0, MOST).map((gauge) => this.gauge(gauge, kept.get(gauge.id))));
    const more = line.gauges.length - MOST;
    if (more > 0) this.list.append(make("li", { class: "more" }, say("and {count} more", { count: more })));
    return before;
  }

  gauge(gauge, kept) {
    const language = document.documentElement.lang;
    const item = kept ?? make("li", { "data-id": gauge.id }, make("span", { class: "gauge-name", dir: "auto" }), make("span", { class: "gauge-left" }), make("span", { class: "gauge-bar" }, make("i", {}), make("u", {})));
    item.querySelector(".gauge-name").textContent = gauge.names[language] ?? gauge.names.en;
    item.querySelector(".gauge-left").textContent = shownAmount(gauge.unit, gauge.left);
    item.title = gauge.reserved ? say("{amount} held by the network", { amount: shownAmount(gauge.unit, gauge.reserved) }) : "";
    item.querySelector("i").style.width = `${(100 * (gauge.left - gauge.reserved)) / gauge.initial}%`;
    item.querySelector("u").style.width = `${(100 * gauge.reserved) / gauge.initial}%`;
    return item;
  }
}
