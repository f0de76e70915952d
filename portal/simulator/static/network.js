// The network's side: a packet core that uses what the active phone's line holds, and what it says to the charging.

import { ask, byId, make, wait } from "./dom.js";
import { say, shownAmount } from "./words.js";

/** How often a session that goes on is looked at, in milliseconds. */
const LOOK_EVERY = 250;
const SHOWN = { running: [say("uses the network"), "good"], stopped: [say("no quota: stopped"), "bad"], ended: [say("ended"), ""], failed: [say("failed"), "bad"] };

export class Network {
  /** `phone()` is the active handset, `onTold(tone, words, phone)` is told what happened. */
  constructor({ phone, onTold }) {
    this.form = byId("use");
    if (!this.form) return;
    this.phone = phone;
    this.onTold = onTold;
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.use();
    });
    byId("flow-stop").addEventListener("click", () => ask(`uses/${this.number}/stop`, "POST", {}));
  }

  /** Use what the form says, as the active phone's line; resolves when the session ends or stops for want of quota. */
  async use() {
    const phone = this.phone();
    const [unit, amount] = byId("use-amount").value.split(":");
    const body = { msisdn: phone.number, rating_group: Number(byId("use-category").value), unit, amount: Number(amount) };
    const use = await ask("uses", "POST", body);
    if (!use) return this.onTold("bad", say("The packet core does not answer."), phone);
    this.number = use.number;
    byId("flow").hidden = false;
    byId("flow-empty").hidden = true;
    byId("flow-messages").replaceChildren();
    const what = { amount: shownAmount(unit, use.amount), category: byId("use-category").selectedOptions[0].textContent };
    this.onTold("plain", say("The line begins to use {amount} of {category}.", what), phone);
    return this.follow(use, phone);
  }

  async follow(use, phone) {
    let seen = 0;
    while (this.number === use.number) {
      const now = await ask(`uses/${use.number}?after=${seen}`);
      if (now) {
        seen += now.events.length;
        this.show(now);
        for (const event of now.events) this.tell(event, now, phone);
        if (["ended", "failed"].includes(now.state)) return;
      }
      await wait(LOOK_EVERY);
    }
  }

  show(use) {
    const [words, tone] = SHOWN[use.state];
    byId("flow-state").textContent = words;
    byId("flow-state").className = `badge ${tone}`;
    byId("flow-used").textContent = `${shownAmount(use.unit, use.used)} / ${shownAmount(use.unit, use.amount)}`;
    byId("flow-stop").hidden = ["ended", "failed"].includes(use.state);
    const percent = Math.round((100 * use.used) / use.amount);
    byId("flow-fill").style.width = `${percent}%`;
    byId("flow-bar").setAttribute("aria-valuenow", percent);
    for (const event of use.events) byId("flow-messages").prepend(this.message(event, use.unit));
  }

  message(event, unit) {
    const amount = (octets) => shownAmount(unit, octets);
    const said = [
      event.reported ? say("used {amount}", { amount: amount(event.reported) }) : "",
      event.asked ? say("asks for {amount}", { amount: amount(event.asked) }) : "",
    ].filter(Boolean).join(", ");
    const answer = {
      create: () => this.granted(event, amount),
      update: () => this.granted(event, amount),
      release: () => say("released"),
      notified: () => event.notification,
      stopped: () => say("the flow stops"),
      resumed: () => say("the flow goes on"),
      refused: () => `${event.status} ${event.reason}`,
      failed: () => event.reason,
    }[event.what]();
    const way = event.what === "notified" ? "←" : "→";
    return make("li", { "data-what": event.what },
      make("b", { dir: "ltr" }, ["stopped", "resumed"].includes(event.what) ? "" : `${way} ${event.what}`),
      make("span", {}, said),
      make("span", { class: "message-answer", dir: "auto" }, answer),
    );
  }

  granted(event, amount) {
    const grant = event.granted ? say("granted {amount}", { amount: amount(event.granted) }) : event.result;
    return event.final ? `${grant} · ${say("final unit: {action}", { action: event.final })}` : grant;
  }

  /** What is worth a line in the story. */
  tell(event, use, phone) {
    const amount = shownAmount(use.unit, use.used);
    if (event.what === "stopped") this.onTold("warn", say("No more quota ({result}): the flow stopped after {amount}. Buy or recharge, and it goes on by itself.", { result: event.result || "–", amount }), phone);
    if (event.what === "notified") this.onTold("plain", say("Rasid told the network that more may be used ({notification}).", event), phone);
    if (event.what === "resumed") this.onTold("good", say("Quota is granted again: the flow goes on."), phone);
    if (event.what === "release") this.onTold("good", say("The session ended: {amount} used and charged.", { amount }), phone);
    if (event.what === "refused") this.onTold("bad", say("The network was refused: {reason}", event), phone);
  }
}
