// The glass panel: one card per hop, newest first, with what the server tells of it and what the page saw.

import { ask, byId, make, wait } from "./dom.js";
import { say } from "./words.js";

/** The phases of a turn in the order in which they run. */
const PHASES = ["begin", "read", "dialog", "engine", "layout", "end"];
/** How often and how long the page waits for the trace of a hop that has been answered, in milliseconds. */
const LOOK_EVERY = 120;
const LOOK_FOR = 2400;
const MOST_CARDS = 80;

export class Glass {
  /** `onTold(hop)` is called once the server has told all of a hop, `onRecharge(session)` for each recharge that took effect. */
  constructor({ onTold, onRecharge }) {
    this.onTold = onTold;
    this.onRecharge = onRecharge;
    this.told = new Set();
    this.clear();
    byId("glass-clear").addEventListener("click", () => this.clear());
  }

  clear() {
    this.hops = [];
    byId("hops").replaceChildren();
    byId("hops-empty").hidden = false;
    this.sum();
  }

  /**
   * Show a hop: `{phone, session, input, from, posts, traces, delivery, verdict, answer}`; what it did follows in a moment.
   * Of a text or chat also `channel` and `trace`, the name that its one trace has for itself.
   */
  async add(hop) {
    hop.number = (this.hops[0]?.number ?? 0) + 1;
    hop.told = [];
    this.hops.unshift(hop);
    this.hops.length = Math.min(this.hops.length, MOST_CARDS);
    byId("hops-empty").hidden = true;
    hop.card = make("li", { class: "hop", value: hop.number });
    byId("hops").prepend(hop.card);
    this.draw(hop);
    const until = performance.now() + LOOK_FOR;
    do {
      await this.look(hop);
    } while (hop.told.length < hop.traces && performance.now() < until && (await wait(LOOK_EVERY), true));
    this.draw(hop);
    this.sum();
    for (const each of hop.operations) each.firstHop = this.first(each.key, hop);
    this.onTold(hop);
  }

  /** The server writes one trace for each answer, in the order of the answers. */
  async look(hop) {
    // With the server away the card stays with what the page saw itself.
    const told = await ask(`trace/${encodeURIComponent(hop.trace ?? hop.session.id)}`);
    if (told) hop.told = told.slice(hop.from, hop.from + hop.traces);
  }

  draw(hop) {
    const trace = hop.told[0];
    const operations = unique(hop.told.flatMap((each) => each.operations));
    hop.operations = operations;
    hop.card.replaceChildren(
      ...[
        head(hop, trace),
        hop.told.some((each) => each.replayed) && make("p", { class: "note" }, say("Answered before: the stored answer was sent again, byte for byte.")),
        ...operations.map((each) => operation(each, this.first(each.key, hop))),
        trace && timing(trace.ms, hop.answer.ms),
      ].filter(Boolean),
    );
    for (const each of operations) {
      if (each.kind === "recharge" && each.code === "ok" && !this.told.has(each.key)) {
        this.told.add(each.key);
        this.onRecharge(hop.session);
      }
    }
  }

  /** The number of the earlier hop that caused this operation, if one did. */
  first(key, hop) {
    const earlier = this.hops.filter((each) => each.number < hop.number && each.operations?.some((one) => one.key === key));
    return earlier.at(-1)?.number;
  }

  /** Operations count once, however many hops carried their key. */
  sum() {
    const booked = unique(this.hops.flatMap((hop) => hop.operations ?? [])).filter((each) => each.code === "ok");
    byId("tally-sessions").textContent = new Set(this.hops.map((hop) => hop.session.id)).size;
    byId("tally-hops").textContent = this.hops.reduce((sum, hop) => sum + hop.posts, 0);
    byId("tally-operations").textContent = booked.length;
    byId("tally-transfers").textContent = booked.reduce((sum, each) => sum + each.transfers.length, 0);
    const troubled = this.hops.find((hop) => hop.operations?.some((each) => each.code === "ok") && (hop.delivery !== "once" || this.first(hop.operations[0].key, hop)));
    byId("verdict").hidden = !troubled;
    if (troubled) {
      const what = { lost: say("The answer was lost."), twice: say("The hop came twice.") }[troubled.delivery] ?? say("The hop came again.");
      byId("verdict").textContent = `${what} ${booked.length === 1 ? say("One effect in the books.") : say("{count} operations, each booked once.", { count: booked.length })}`;
    }
  }
}

function unique(operations) {
  return [...new Map(operations.map((each) => [each.key, each])).values()];
}

function head(hop, trace) {
  const fate = { lost: [say("answer lost"), "bad"], twice: [say("sent twice"), "warn"], repeat: [say("repeated"), "warn"] }[hop.delivery];
  return make("div", { class: "hop-head" },
    make("span", { class: "hop-number" }, `${hop.number}`),
    make("span", { class: "dot", "data-place": hop.phone.place }, String(hop.phone.place)),
    make("b", { class: "hop-input", dir: "auto" }, hop.input),
    make("span", { class: "hop-state" }, trace?.state || hop.answer.label || ""),
    make("span", { class: "badges" },
      fate && make("span", { class: `badge ${fate[1]}` }, fate[0]),
      hop.verdict && make("span", { class: `badge ${hop.verdict === "equal" ? "good" : "bad"}` }, hop.verdict === "equal" ? say("answers equal") : say("answers differ")),
      make("span", { class: "badge" }, hop.answer.ok ? (hop.channel ?? (hop.answer.ends ? "END" : "CON")) : "ERROR"),
    ),
    make("code", { class: "hop-key", title: `hop key ${trace?.hop ?? ""}` }, trace ? `hop ${trace.hop.slice(0, 12)}` : `session ${hop.session.id.slice(-8)}`),
  );
}

function operation(each, firstHop) {
  const good = each.code === "ok";
  return make("div", { class: `operation ${firstHop ? "again" : ""}` },
    make("div", { class: "operation-head" },
      make("b", {}, each.kind ?? say("operation")),
      make("span", { class: `badge ${good ? "good" : "bad"}` }, firstHop ? say("same key as hop {number}", { number: firstHop }) : (each.code ?? say("not booked"))),
      each.reference && make("span", { class: "reference" }, say("ref {reference}", { reference: each.reference })),
      make("code", { title: `operation key ${each.key}` }, each.key),
    ),
    firstHop && make("p", { class: "note" }, say("Nothing was booked again: the first answer stands.")),
    !firstHop && each.transfers?.length > 0 && transfers(each.transfers),
    !firstHop && each.effects?.length > 0 && effects(each.effects),
  );
}

function transfers(rows) {
  return make("table", {},
    make("caption", {}, say("Ledger")),
    make("tbody", {}, ...rows.map((row) =>
      make("tr", {},
        make("td", {}, make("span", { class: "unseen" }, `${say("debit")} `), row.debit, make("span", { class: "arrow", "aria-hidden": "true" }, " → "), make("span", { class: "unseen" }, ` ${say("credit")} `), row.credit),
        make("td", { class: "amount money" }, row.text),
      ),
    )),
  );
}

function effects(rows) {
  return make("table", {},
    make("caption", {}, say("Buckets")),
    make("tbody", {}, ...rows.map((row) =>
      make("tr", {},
        make("td", {}, row.product),
        make("td", { class: "amount" }, make("span", {}, row.before), make("span", { class: "arrow" }, " → "), make("b", {}, row.after),
          make("span", { class: row.change.startsWith("+") ? "plus" : "minus" }, row.change)),
      ),
    )),
  );
}

/** Where the time went: one bar, a part for each phase, and the same in figures. */
function timing(ms, roundTrip) {
  const phases = [...PHASES.filter((name) => name in ms), ...Object.keys(ms).filter((name) => !PHASES.includes(name))];
  const total = phases.reduce((sum, name) => sum + ms[name], 0);
  const bar = make("div", { class: "timing-bar", "aria-hidden": "true" }, ...phases.map((name) => {
    const part = make("i", { "data-phase": name });
    part.style.flexGrow = String(ms[name] / (total || 1));
    return part;
  }));
  const figures = phases.map((name) => make("span", { "data-phase": name }, make("i", { "aria-hidden": "true" }), `${name} ${round(ms[name])}`));
  return make("div", { class: "timing" }, bar,
    make("p", {}, ...figures, make("span", { class: "timing-total" }, `${say("server {ms} ms", { ms: round(total) })}${roundTrip === null ? "" : ` · ${say("round trip {ms} ms", { ms: round(roundTrip) })}`}`)));
}

const round = (ms) => (ms < 10 ? ms.toFixed(1) : ms.toFixed(0));
