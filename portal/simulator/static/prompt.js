// What the payer's provider asks on the phone: "Pay so much to …?", answered with a PIN or refused.

import { ask, part } from "./dom.js";
import { say } from "./words.js";

const { operator, payerName } = document.body.dataset;

export class Prompt {
  /** Keys of the phone go into the PIN while `display` is asked for it. */
  constructor(root, { display }) {
    this.root = root;
    this.display = display;
    this.form = part(root, "prompt");
    this.asked = null;
    if (!this.form) return;
    this.pin = part(root, "pin");
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (/^\d{4}$/.test(this.pin.value)) this.answer(true);
      else this.pin.focus();
    });
    part(root, "refuse").addEventListener("click", () => this.answer(false));
  }

  /** Show what is asked, or nothing any more. */
  show(asked) {
    if (!this.form || asked?.id === this.asked?.id) return;
    this.asked = asked;
    this.form.hidden = !asked;
    this.display.field = asked ? this.pin : null;
    this.pin.value = "";
    if (!asked) return;
    part(this.root, "prompt-head").textContent = payerName;
    part(this.root, "prompt-text").textContent = say("Pay {currency} {amount} to {operator}? Account {account}.", { ...asked, operator });
  }

  async answer(approve) {
    const { face, id } = this.asked;
    await ask(`prompts/${face}/${id}`, "POST", { approve });
    this.show(null);
  }
}
