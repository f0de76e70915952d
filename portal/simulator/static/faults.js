// What goes wrong on the way of the next hop, and with the next payment.

import { ask, byId } from "./dom.js";
import { say } from "./words.js";

const chosen = (name) => document.querySelector(`input[name="${name}"]:checked`);

/** What a play of the payment providers means, in words. */
const PLAYS = {
  approve: say("Payments go through again."),
  decline: say("The provider will decline the next payment: too little money there."),
  late: say("The provider will not answer the next payment, and tell of it six seconds later."),
  lost: say("The provider will take the next payment and never tell of it: Rasid has to ask."),
  duplicate: say("The provider will tell of the next payment three times."),
};

export class Faults {
  /** `onTold(tone, words)` is told what was arranged. */
  constructor({ onTold }) {
    for (const radio of document.querySelectorAll('input[name="play"]')) {
      radio.addEventListener("change", () => this.arrange(radio.value, onTold));
    }
  }

  /** What becomes of the hop that is sent now: `{delivery, slow}`. Faults of delivery hold for one hop. */
  next() {
    const fate = { delivery: chosen("delivery").value, slow: chosen("slow").value };
    this.choose("delivery", "once");
    return fate;
  }

  choose(name, value) {
    const radio = document.querySelector(`input[name="${name}"][value="${value}"]`);
    if (!radio || radio.checked) return;
    radio.checked = true;
    radio.dispatchEvent(new Event("change"));
  }

  /** Tell the sandbox's providers what becomes of the next payment. */
  async arrange(play, onTold) {
    await ask("payments/script", "DELETE");
    if (play !== "approve") await ask("payments/script", "POST", { play, seconds: 6 });
    onTold(play === "approve" ? "plain" : "warn", PLAYS[play]);
  }

  /** The next payment has come: what was arranged for it is used up. */
  paid() {
    const radio = byId("plays")?.querySelector('[value="approve"]');
    if (radio) radio.checked = true;
  }
}
