// A guided tour for a first visitor: each step points at a part of the page, and the next button does what it tells of.

import { byId, wait } from "./dom.js";
import { say } from "./words.js";

const { operator, serviceCode, payerName } = document.body.dataset;
/** A place on the phone that the tour shows, and any other part of the page. */
const onPhone = (name) => `.handset.active [data-tour="${name}"]`;
const onPage = (name) => `[data-tour="${name}"]`;
/** How long a step waits for what it has begun, in milliseconds. */
const PATIENCE = 9000;

export class Tour {
  /** `phone()` is the handset that the tour plays on, `activate()` brings it to the front. */
  constructor({ phone, activate, faults, network }) {
    Object.assign(this, { phone, activate, faults, network });
    this.box = byId("tour");
    this.at = null;
    byId("tour-start").addEventListener("click", () => this.start());
    byId("tour-leave").addEventListener("click", () => this.leave());
    byId("tour-back").addEventListener("click", () => this.go(this.at - 1));
    byId("tour-next").addEventListener("click", () => this.next());
    for (const change of ["resize", "scroll"]) addEventListener(change, () => this.place(), { passive: true });
    document.addEventListener("keydown", (event) => this.key(event));
  }

  /** The steps that this page has parts for. */
  steps() {
    const all = [
      {
        target: onPhone("screen"),
        title: say("A phone without internet"),
        text: say("{operator} has a balance service that any phone can dial. Press Next, and this phone dials {code}.", { operator, code: `*${serviceCode}#` }),
        act: () => this.dial(`*${serviceCode}#`),
      },
      {
        target: onPhone("screen"),
        title: say("A menu in one screen"),
        text: say("The answer came over the gateway's own path, cut to what this gateway can show. Next asks for the balance."),
        act: () => this.answer("1"),
      },
      {
        target: onPage("trying"),
        title: say("Recharge, on a bad line"),
        text: say("Next dials a scratch card and confirms it, but the answer to the confirmation is lost on the way: the worst moment for it."),
        act: () => this.lostRecharge(),
        needs: ".card:not(.spent)",
      },
      {
        target: onPhone("screen"),
        title: say("Was it counted?"),
        text: say("The phone cannot know. Next sends the same hop again, as a gateway or an impatient thumb does."),
        act: () => this.again(),
        needs: ".card",
      },
      {
        target: onPage("story"),
        title: say("Counted once"),
        text: say("Sent twice, answered the same, booked once. Each hop has a key that is made from what was typed: whoever repeats it gets the first answer."),
      },
      {
        target: onPage("network"),
        title: say("The network's side"),
        text: say("While people talk to Rasid, the packet core asks it for quota. Next uses 10 MB: watch the gauge above the phone."),
        act: () => this.use(),
        needs: "#use",
      },
      {
        target: onPhone("holds"),
        title: say("Used, reported, charged"),
        text: say("Each report moved the gauge. When quota ends the flow stops, and goes on by itself once something is bought."),
        needs: "#use",
      },
      {
        target: onPage("faults"),
        title: say("Break something"),
        text: say("Lose an answer, send it twice, let {payer} decline, or its callback come late, never or three times. The story tells what came of it.", { payer: payerName }),
      },
      {
        target: onPage("glass"),
        title: say("In the books"),
        text: say("Every operation with its ledger transfers. Now it is yours: add a phone, write a text, chat with the bot."),
      },
    ];
    return all.filter((step) => document.querySelector(step.target) && (!step.needs || document.querySelector(step.needs)));
  }

  start() {
    this.activate();
    this.phone().tabs.turn("dial");
    this.phone().hangUp();
    this.list = this.steps();
    this.box.hidden = false;
    this.go(0);
  }

  leave() {
    this.box.hidden = true;
    this.mark(null);
    this.at = null;
    byId("tour-start").focus();
  }

  key(event) {
    if (this.at === null) return;
    if (event.key === "Escape") this.leave();
    const forward = document.documentElement.dir === "rtl" ? "ArrowLeft" : "ArrowRight";
    if (event.target.closest("input, select, textarea")) return;
    if (event.key === forward) this.next();
    else if (event.key.startsWith("Arrow") && /Left|Right/.test(event.key) && this.at > 0) this.go(this.at - 1);
  }

  /** Do what this step tells of, then show the next one; the last one ends the tour. */
  async next() {
    if (this.acting) return;
    const mine = this.at;
    this.acting = true;
    byId("tour-next").disabled = true;
    try {
      await Promise.race([this.list[mine].act?.(), wait(PATIENCE)]);
    } finally {
      this.acting = false;
      byId("tour-next").disabled = false;
    }
    if (this.at !== mine) return;
    if (mine === this.list.length - 1) this.leave();
    else this.go(mine + 1);
  }

  go(at) {
    if (this.acting || at < 0) return;
    this.at = at;
    const step = this.list[at];
    byId("tour-place").textContent = say("{step} of {steps}", { step: at + 1, steps: this.list.length });
    byId("tour-title").textContent = step.title;
    byId("tour-text").textContent = step.text;
    byId("tour-back").hidden = at === 0;
    byId("tour-next").textContent = at === this.list.length - 1 ? say("Done") : say("Next");
    const target = document.querySelector(step.target);
    this.mark(target);
    target.scrollIntoView({ block: innerWidth < 720 ? "start" : "nearest" });
    this.place();
    byId("tour-next").focus({ preventScroll: true });
  }

  mark(target) {
    document.querySelector(".toured")?.classList.remove("toured");
    target?.classList.add("toured");
    this.target = target;
  }

  /** Beside what it points at, wherever there is room; on a narrow page at its foot. */
  place() {
    if (this.at === null || !this.target) return;
    if (innerWidth < 720) return this.box.removeAttribute("style");
    const around = this.target.getBoundingClientRect();
    const own = this.box.getBoundingClientRect();
    const gap = 18;
    const right = around.right + gap;
    const left = around.left - gap - own.width;
    const x = right + own.width < innerWidth ? right : left > 0 ? left : Math.max(12, innerWidth - own.width - 24);
    const y = Math.min(Math.max(12, around.top), innerHeight - own.height - 12);
    this.box.style.left = `${x}px`;
    this.box.style.top = `${y}px`;
    return undefined;
  }

  // What the steps do

  async dial(code) {
    this.phone().hangUp();
    await this.phone().dial(code);
  }

  async answer(typed) {
    const phone = this.phone();
    if (phone.display.mode === "menu") await phone.send(typed);
  }

  async lostRecharge() {
    const pin = document.querySelector(".card:not(.spent)").dataset.pin;
    await this.dial(`*${serviceCode}*${pin}#`);
    if (this.phone().display.mode !== "menu") return;
    await wait(900);
    this.faults.choose("delivery", "lost");
    await this.answer("1");
  }

  async again() {
    if (this.phone().last) await this.phone().repeat();
    await wait(400);
  }

  async use() {
    const amount = [...byId("use-amount").options].find((option) => option.value === "octets:10000000");
    if (amount) amount.selected = true;
    await this.network.use();
  }
}
