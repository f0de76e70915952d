// What happened, in words: newest first.

import { byId, make } from "./dom.js";
import { say } from "./words.js";

const MOST = 60;

export class Story {
  /** One line: `tone` is plain, good, warn or bad; `phone` the handset that it is about. */
  tell(tone, words, phone = null) {
    const at = new Date();
    byId("story-empty").hidden = true;
    byId("story").prepend(
      make("li", { class: "story-item", "data-tone": tone },
        make("time", { datetime: at.toISOString() }, at.toLocaleTimeString("en-GB")),
        phone && make("span", { class: "dot", "data-place": phone.place, title: say("Phone {number}", { number: phone.place }) }, String(phone.place)),
        make("p", { dir: "auto" }, words),
      ),
    );
    while (byId("story").children.length > MOST) byId("story").lastElementChild.remove();
  }

  /** What came of a hop, once the server has told all of it: `hop.operations` with `firstHop` where booked before. */
  hop(hop) {
    const done = hop.operations.filter((each) => each.code === "ok");
    const fresh = done.filter((each) => !each.firstHop).map((each) => this.operation(each));
    const what = fresh.join(" ");
    const { phone, delivery, verdict } = hop;
    if (!hop.answer.ok) return this.tell("bad", say("The server did not answer this hop."), phone);
    if (delivery === "lost") {
      const came = what ? say("Yet it is in the books, once: {what}", { what }) : say("Nothing was booked by this hop.");
      return this.tell("warn", `${say("The answer was lost on its way: the phone shows an error.")} ${came}`, phone);
    }
    if (delivery === "twice" || delivery === "repeat") {
      const came = verdict !== "equal" ? say("The answers differ.") : delivery === "twice" ? say("Sent twice: both were answered the same.") : say("Sent again: answered the same, byte for byte.");
      const once = what ? say("Booked once: {what}", { what }) : done.length || hop.told.some((each) => each.replayed) ? say("Nothing more is booked.") : say("This hop books nothing.");
      return this.tell(verdict === "equal" ? "good" : "bad", `${came} ${once}`, phone);
    }
    if (hop.slow === "there" || hop.slow === "back") this.tell("plain", hop.slow === "there" ? say("The hop took two and a half seconds to arrive.") : say("The answer took two and a half seconds to come back."), phone);
    if (what) return this.tell("good", what, phone);
    const again = done.find((each) => each.firstHop);
    if (again) return this.tell("good", say("This was done before (reference {reference}): it is told again, and nothing more is booked.", { reference: again.reference ?? "" }), phone);
    const refused = hop.operations.find((each) => each.code && each.code !== "ok");
    if (refused) this.tell("warn", say("Refused: {reason}", { reason: refused.refused }), phone);
    return undefined;
  }

  operation({ name, transfers, reference }) {
    const money = transfers?.find((each) => each.unit === "money")?.text ?? transfers?.[0]?.text ?? "";
    return say("{what}, reference {reference}.", { what: [name, money].filter(Boolean).join(" "), reference: reference ?? "–" });
  }

  /** What a line holds has changed. */
  line(before, now, phone) {
    if (!before?.known || !now.known || before.msisdn !== now.msisdn || now.minor <= before.minor) return;
    this.tell("good", say("The line's money rose from {before} to {after}.", { before: before.money, after: now.money }), phone);
  }

  /** A payment has become something else: told once for each state. */
  payment(payment, phone) {
    const { state, play, reason, currency, amount } = payment;
    const money = { currency, amount };
    if (state === "pending") this.tell("plain", say("The provider asks the payer: {currency} {amount}.", money), phone);
    if (state === "refunded") this.tell("warn", say("{currency} {amount} went back to the payer.", money), phone);
    if (state === "captured") {
      const told = { lost: say("Nobody will tell Rasid: it asks by itself."), duplicate: say("The provider tells of it three times: it counts once."), late: say("The provider tells of it late.") }[play];
      this.tell("plain", `${say("Paid: {currency} {amount}.", money)} ${told ?? say("The provider tells Rasid.")}`, phone);
    }
    if (state === "declined") {
      const why = { cancelled: say("The payer refused {currency} {amount}.", money), timeout: say("The payer did not answer: {currency} {amount} is not paid.", money) }[reason];
      this.tell("bad", why ?? say("The provider declined {currency} {amount}.", money), phone);
    }
  }
}
