// One phone: its line, its gateway, its screen, texts and chat, and the USSD session that runs on it. One hop runs at
// a time, as on a real phone.

import { Chat } from "./chat.js";
import { Display } from "./display.js";
import { byId, direction, make, masked, part, wait } from "./dom.js";
import { Session } from "./gateway.js";
import { Holdings } from "./holdings.js";
import { Messenger } from "./messenger.js";
import { Prompt } from "./prompt.js";
import { Tabs } from "./tabs.js";
import { Timer } from "./timer.js";
import { say } from "./words.js";

/** How slow a slow network is on that way, in milliseconds. */
export const SLOW = 2500;
/** What phones say when a USSD session breaks off. */
const BROKEN = say("Connection problem or invalid MMI code.");

const serviceCode = document.body.dataset.serviceCode;

export class Handset {
  /**
   * `place` is its number among the phones. `faults.next()` says what becomes of a hop, `onHop(hop)` is told of each,
   * `onLine()` of another line, `onUsed()` of every touch, `onChange()` when it may or may not be dialled on.
   */
  constructor({ place, faults, onHop, onLine, onUsed, onChange, onRemove, onTold }) {
    Object.assign(this, { place, faults, onHop, onChange, onTold });
    this.root = byId("handset").content.firstElementChild.cloneNode(true);
    this.root.dataset.place = place;
    this.root.setAttribute("aria-label", say("Phone {number}", { number: place }));
    part(this.root, "dot").textContent = place;
    for (const tab of this.root.querySelectorAll("[data-tab]")) tab.name = `tab-${place}`;
    const number = () => this.number;
    this.display = new Display(this.root, { onSend: (typed) => this.send(typed), onEnd: () => this.hangUp() });
    this.messenger = new Messenger(this.root, { number, onSent: (sent) => this.written(sent) });
    this.chat = new Chat(this.root, { person: () => ({ number: this.number, language: this.language }), onSent: (sent) => this.written(sent) });
    this.prompt = new Prompt(this.root, { display: this.display });
    this.holdings = new Holdings(this.root);
    this.timer = new Timer(this.root, { onOver: () => this.timeOut() });
    this.tabs = new Tabs(this.root, { onTurn: (tab) => this.turned(tab) });
    this.session = null;
    /** The latest hop: `{session, text, input, body}`, for sending it again. */
    this.last = null;
    this.dialled = `*${serviceCode}#`;
    /** Hops under way belong to a call; hanging up starts another, and late answers of the old one are dropped. */
    this.call = 0;
    this.busy = false;
    /** What panels know of texts and chats, by name: a voucher is typed in one message and confirmed in another. */
    this.conversations = new Map();
    part(this.root, "line").addEventListener("change", () => (this.lineChanged(), onLine()));
    part(this.root, "other").addEventListener("change", () => (this.lineChanged(), onLine()));
    part(this.root, "gateway").addEventListener("change", () => this.gatewayChanged());
    part(this.root, "remove").addEventListener("click", () => onRemove(this));
    part(this.root, "latest").addEventListener("click", () => this.tabs.turn("text"));
    for (const touch of ["pointerdown", "focusin"]) this.root.addEventListener(touch, () => onUsed(this));
    this.gatewayChanged();
    this.lineChanged();
  }

  get number() {
    return part(this.root, "line").value || part(this.root, "other").value.trim();
  }

  get language() {
    return part(this.root, "line").selectedOptions[0]?.dataset.language || "en";
  }

  /** Put this line's SIM card in. */
  insert(number) {
    part(this.root, "line").value = number;
    this.lineChanged();
  }

  /** The number that was typed, as the network writes it: all that is told of the line is told of that. */
  called(msisdn) {
    const other = part(this.root, "other");
    if (other.hidden || !msisdn || other.value === msisdn) return;
    other.value = msisdn;
    this.messenger.reset();
    this.chat.reset();
    this.onChange();
  }

  send(typed) {
    if (this.display.mode !== "menu") return this.dial(typed);
    this.session.inputs.push(typed);
    return this.hop(this.session, typed);
  }

  /** Dial a code: the service's own, with or without answers behind it. Any other code belongs to somebody else. */
  dial(code) {
    this.tabs.turn("dial");
    this.dialled = code;
    part(this.root, "typed").placeholder = code;
    if (!this.number) return this.display.notice(say("No SIM card: choose a line."));
    if (code !== `*${serviceCode}#` && !(code.startsWith(`*${serviceCode}*`) && code.endsWith("#"))) return this.display.notice(BROKEN);
    const shortcut = code.slice(serviceCode.length + 2, -1);
    const gateway = part(this.root, "gateway").selectedOptions[0];
    this.session = new Session({ gateway: gateway.value, secret: gateway.dataset.secret, msisdn: this.number, serviceCode: `*${serviceCode}#` });
    this.timer.start();
    if (shortcut) this.session.inputs.push(shortcut);
    return this.hop(this.session, code);
  }

  /** Dial the last code again. */
  redial() {
    this.hangUp();
    return this.dial(this.dialled);
  }

  async hop(session, input) {
    const { delivery, slow } = this.faults.next();
    const text = session.text;
    this.last = { session, text, input, body: null };
    session.hops += 1;
    const { answer, verdict, ...sent } = await this.exchange(session, text, delivery === "twice" ? 2 : 1, slow);
    this.last.body = answer.body;
    this.onHop({ phone: this, session, input: masked(input), typed: input, ...sent, slow, delivery, verdict, answer });
    this.onChange();
    if (session !== this.session) return;
    if (delivery === "lost") this.lose();
    else this.show(session, answer);
  }

  /** Send the latest hop again, as a gateway does that got no answer in time, and compare. */
  async repeat() {
    const { session, text, input, body } = this.last;
    this.session = session;
    this.timer.start();
    const { answer, verdict: _, ...sent } = await this.exchange(session, text, 1, "none");
    this.onHop({ phone: this, session, input: masked(input), typed: input, ...sent, slow: "none", delivery: "repeat", verdict: answer.body === body ? "equal" : "differ", answer });
    if (session === this.session) this.show(session, answer);
  }

  /** Post a hop so many times at once, over the chosen way; the first answer and whether the others equal it. */
  async exchange(session, text, posts, slow) {
    this.call += 1;
    const mine = this.call;
    this.lock(true);
    this.display.busy();
    if (slow === "there") await wait(SLOW);
    const from = session.answered;
    const answers = await Promise.all(Array.from({ length: posts }, () => session.post(text)));
    if (slow === "back") await wait(SLOW);
    if (mine === this.call) this.lock(false);
    const verdict = posts < 2 ? null : answers.every((each) => each.body === answers[0].body) ? "equal" : "differ";
    return { answer: answers[0], verdict, from, posts, traces: session.answered - from };
  }

  show(session, answer) {
    if (!answer.ok) {
      this.end();
      this.display.notice(BROKEN);
      return;
    }
    session.accept(answer);
    this.display.answer(answer.text, answer.ends);
    if (answer.ends) {
      this.end();
      session.finish("Success");
    }
    this.display.focus();
  }

  /** The answer never came: for the phone the session is gone, and nobody tells the service. */
  lose() {
    this.end();
    this.display.notice(`${BROKEN}\n\n${say("(The answer was lost on the way.)")}`);
  }

  hangUp() {
    const left = this.session;
    this.end();
    this.call += 1;
    this.lock(false);
    this.display.idle();
    if (left && !left.ended) left.finish("Incomplete");
  }

  /** The network ends sessions that last too long. */
  timeOut() {
    this.hangUp();
    this.display.notice(say("The network has ended this session: its time was over."));
    this.onTold("warn", say("The session's time was over: the network ended it, and what was not confirmed is not done."));
  }

  end() {
    this.session = null;
    this.timer.stop();
  }

  lock(on) {
    this.busy = on;
    part(this.root, "line").disabled = on;
    this.onChange();
  }

  /** A text or a message of the chat, or a tap in it, was sent: one hop of a conversation that has no session at a gateway. */
  written({ channel, session: id, trace, input, ok, ms }) {
    const session = this.conversations.get(id) ?? { id };
    this.conversations.set(id, session);
    this.onHop({ phone: this, session, trace, channel, input: masked(input), typed: input, from: 0, posts: 1, traces: ok ? 1 : 0, slow: "none", delivery: "once", verdict: null, answer: { ok, ends: false, label: "", ms } });
  }

  /** A text came in. */
  received(text) {
    if (this.seen.has(text.message_id)) return;
    this.seen.add(text.message_id);
    this.messenger.received(text);
    const time = new Date(text.at);
    const latest = part(this.root, "latest");
    latest.replaceChildren(make("b", { dir: "auto" }, text.from), make("time", {}, Number.isNaN(time.getTime()) ? "" : time.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" })), make("span", { dir: direction(text.text) }, text.text));
    latest.hidden = false;
    const unread = part(this.root, "unread");
    // What the carrier still keeps from before comes first, in one go: only what comes later rings.
    if (!unread || this.messenger.open || performance.now() < this.quietUntil) return;
    unread.hidden = false;
    unread.textContent = String(Number(unread.textContent) + 1);
  }

  turned(tab) {
    this.messenger.toEnd();
    this.chat.turned();
    const unread = part(this.root, "unread");
    if (tab !== "text" || !unread) return;
    unread.hidden = true;
    unread.textContent = "";
  }

  /** Type a scratch card, where the phone is just now. */
  type(pin) {
    if (this.messenger.open) this.messenger.fill(`RCH ${pin}`);
    else if (this.chat.open) this.chat.fill(pin);
    else this.display.fill(this.display.mode === "menu" ? pin : `*${serviceCode}*${pin}#`);
  }

  lineChanged() {
    part(this.root, "other").hidden = part(this.root, "line").value !== "";
    part(this.root, "who").textContent = part(this.root, "line").selectedOptions[0]?.dataset.who ?? "";
    this.seen = new Set();
    this.quietUntil = performance.now() + 1500;
    part(this.root, "latest").hidden = true;
    if (this.display.mode !== "idle") this.hangUp();
    this.last = null;
    this.holdings.clear();
    this.prompt.show(null);
    this.messenger.reset();
    this.chat.reset();
    this.turned("text");
    this.onChange();
  }

  gatewayChanged() {
    const { septets, ucs2 } = part(this.root, "gateway").selectedOptions[0].dataset;
    this.display.fit({ septets: Number(septets), ucs2: Number(ucs2) });
  }
}
