// The page: wires phone, gateway, inbox and glass panel together. One hop runs at a time, as on a real phone.

import { Chat } from "./chat.js";
import { byId, make, wait } from "./dom.js";
import { Session } from "./gateway.js";
import { Glass } from "./glass.js";
import { Inbox } from "./inbox.js";
import { Messenger } from "./messenger.js";
import { Phone } from "./phone.js";
import { Tabs } from "./tabs.js";

/** How slow a slow network is on that way, in milliseconds. */
const SLOW = 2500;
/** What phones say when a USSD session breaks off. */
const BROKEN = "Connection problem or invalid MMI code.";

const number = () => byId("line").value || byId("other-number").value.trim();
const serviceCode = document.body.dataset.serviceCode;
const phone = new Phone({ onSend: send, onEnd: hangUp });
const messenger = new Messenger({ number, onSent: written });
const chat = new Chat({ person: () => ({ number: number(), language: byId("line").selectedOptions[0]?.dataset.language || "en" }), onSent: written });
const inbox = new Inbox({ onText: (text) => messenger.received(text) });
const glass = new Glass({ onRecharge: (session) => session.voucher && spend(session.voucher) });

const tabs = new Tabs({
  onTurn() {
    messenger.toEnd();
    chat.turned();
  },
});

let session = null;
/** The latest hop: `{session, text, input, body}`, for sending it again. */
let last = null;
let dialled = `*${serviceCode}#`;
/** Hops under way belong to a call; hanging up starts another, and late answers of the old one are dropped. */
let call = 0;

const chosen = (name) => document.querySelector(`input[name="${name}"]:checked`);

function send(typed) {
  if (phone.mode === "menu") {
    session.inputs.push(typed);
    return hop(session, session.text, typed);
  }
  return dial(typed);
}

/** Dial a code: the service's own, with or without answers behind it. Any other code belongs to somebody else. */
function dial(code) {
  tabs.turn("dial");
  dialled = code;
  byId("typed").placeholder = code;
  if (!number()) return phone.notice("No SIM card: choose a line.");
  if (code !== `*${serviceCode}#` && !(code.startsWith(`*${serviceCode}*`) && code.endsWith("#"))) return phone.notice(BROKEN);
  const shortcut = code.slice(serviceCode.length + 2, -1);
  const { value: gateway, dataset } = chosen("gateway");
  session = new Session({ gateway, secret: dataset.secret, msisdn: number(), serviceCode: `*${serviceCode}#` });
  if (shortcut) session.inputs.push(shortcut);
  return hop(session, session.text, code);
}

async function hop(current, text, input) {
  const delivery = chosen("delivery").value;
  last = { session: current, text, input, body: null };
  current.hops += 1;
  noteVoucher(current, input);
  const { answer, verdict, ...sent } = await exchange(current, text, delivery === "twice" ? 2 : 1);
  last.body = answer.body;
  byId("repeat").disabled = false;
  document.querySelector('input[name="delivery"][value="once"]').checked = true;
  glass.add({ session: current, input: masked(input), ...sent, delivery, verdict, answer });
  if (current !== session) return;
  if (delivery === "lost") lose();
  else show(current, answer);
}

/** Send the latest hop again, as a gateway does that got no answer in time, and compare. */
async function repeat() {
  const { session: current, text, input, body } = last;
  session = current;
  const { answer, verdict: _, ...sent } = await exchange(current, text, 1);
  glass.add({ session: current, input: masked(input), ...sent, delivery: "repeat", verdict: answer.body === body ? "equal" : "differ", answer });
  if (current === session) show(current, answer);
}

/** Post a hop so many times at once, over the chosen network; the first answer and whether the others equal it. */
async function exchange(current, text, posts) {
  call += 1;
  const mine = call;
  const slow = chosen("slow").value;
  lock(true);
  phone.busy();
  if (slow === "there") await wait(SLOW);
  const from = current.answered;
  const answers = await Promise.all(Array.from({ length: posts }, () => current.post(text)));
  if (slow === "back") await wait(SLOW);
  if (mine === call) lock(false);
  const verdict = posts < 2 ? null : answers.every((each) => each.body === answers[0].body) ? "equal" : "differ";
  return { answer: answers[0], verdict, from, posts, traces: current.answered - from };
}

function show(current, answer) {
  if (!answer.ok) {
    session = null;
    return phone.notice(BROKEN);
  }
  current.accept(answer);
  phone.answer(answer.text, answer.ends);
  if (answer.ends) {
    session = null;
    current.finish("Success");
  }
}

/** The answer never came: for the phone the session is gone, and nobody tells the service. */
function lose() {
  session = null;
  phone.notice(`${BROKEN}\n\n(The answer was lost on the way.)`);
}

function hangUp() {
  const left = session;
  session = null;
  call += 1;
  lock(false);
  phone.idle();
  inbox.read();
  if (left && !left.ended) left.finish("Incomplete");
}

function lock(on) {
  for (const id of ["redial", "line", "repeat"]) byId(id).disabled = on || (id === "repeat" && last === null);
}

/** What the panel knows of texts and chats, by name: a voucher is typed in one message and confirmed in another. */
const conversations = new Map();

/** A text or a message of the chat, or a tap in it, was sent: one hop of a conversation that has no session at a gateway. */
function written({ channel, session: id, trace, input, ok, ms }) {
  const conversation = conversations.get(id) ?? { id };
  conversations.set(id, conversation);
  noteVoucher(conversation, input);
  glass.add({ session: conversation, trace, channel, input: masked(input), from: 0, posts: 1, traces: ok ? 1 : 0, delivery: "once", verdict: null, answer: { ok, ends: false, label: "", ms } });
}

/** Long numbers are vouchers or telephone numbers: the panel shows their ends, as the product does. */
const masked = (input) => input.replace(/\d{6,}/g, (digits) => `…${digits.slice(-4)}`);

// Scratch cards

function noteVoucher(current, input) {
  for (const card of document.querySelectorAll("[data-pin]:is(button)")) {
    if (input.includes(card.dataset.pin)) current.voucher = card;
  }
}

function spend(card) {
  card.classList.add("spent");
  card.setAttribute("aria-label", `${card.textContent}, used`);
}

async function loadVouchers() {
  const answer = await fetch("/simulator/vouchers");
  const vouchers = answer.ok ? await answer.json() : [];
  byId("vouchers-field").hidden = vouchers.length === 0;
  for (const { pin, value } of vouchers) {
    const card = make("button", { type: "button", class: "card", "data-pin": pin }, make("b", {}, value), " ", make("span", {}, pin.replace(/(\d{4})(?=\d)/g, "$1 ")));
    card.addEventListener("click", () => {
      if (messenger.open) messenger.fill(`RCH ${pin}`);
      else if (chat.open) chat.fill(pin);
      else phone.fill(phone.mode === "menu" ? pin : `*${serviceCode}*${pin}#`);
    });
    byId("vouchers").append(card);
  }
}

// Controls

function lineChanged() {
  byId("other").hidden = byId("line").value !== "";
  if (phone.mode !== "idle") hangUp();
  messenger.reset();
  chat.reset();
  inbox.open(number());
}

function gatewayChanged() {
  const { septets, ucs2 } = chosen("gateway").dataset;
  phone.fit({ septets: Number(septets), ucs2: Number(ucs2) });
}

byId("line").addEventListener("change", lineChanged);
byId("other-number").addEventListener("change", lineChanged);
for (const radio of document.querySelectorAll('input[name="gateway"]')) radio.addEventListener("change", gatewayChanged);
for (const chip of document.querySelectorAll("[data-dial]")) {
  chip.addEventListener("click", () => {
    hangUp();
    dial(chip.dataset.dial);
  });
}
byId("redial").addEventListener("click", () => {
  hangUp();
  dial(dialled);
});
byId("repeat").addEventListener("click", repeat);
byId("texts").addEventListener("click", () => inbox.read());

gatewayChanged();
lineChanged();
loadVouchers();
