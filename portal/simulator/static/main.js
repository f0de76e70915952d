// The page: phones side by side, one of them active, and the panels that speak of it.

import { ask, byId, make } from "./dom.js";
import { Faults } from "./faults.js";
import { Glass } from "./glass.js";
import { Handset } from "./handset.js";
import { Live } from "./live.js";
import { Network } from "./network.js";
import { Story } from "./story.js";
import { Tour } from "./tour.js";
import { say } from "./words.js";

const MOST = Number(document.body.dataset.mostPhones);
/** From this width on there is room for two phones from the start. */
const WIDE = 1180;

const story = new Story();
const faults = new Faults({ onTold: (tone, words) => story.tell(tone, words) });
const network = new Network({ phone: () => active, onTold: (...told) => story.tell(...told) });
const glass = new Glass({ onTold: (hop) => story.hop(hop), onRecharge: (session) => session.voucher && spend(session.voucher) });
const live = new Live({ onText: received, onLine: held, onPayer: asked });

/** The phones, in their order. */
const phones = [];
let active = null;

// Phones

function add() {
  const places = new Set(phones.map((phone) => phone.place));
  const place = Array.from({ length: MOST }, (_, index) => index + 1).find((each) => !places.has(each));
  const taken = new Set(phones.map((phone) => phone.number));
  const phone = new Handset({
    place,
    faults,
    onHop: hop,
    onLine: follow,
    onUsed: activate,
    onChange: panels,
    onRemove: remove,
    onTold: (tone, words) => story.tell(tone, words, phone),
  });
  const free = [...phone.root.querySelectorAll('[data-part="line"] option')].find((option) => option.value && !taken.has(option.value));
  if (free) phone.insert(free.value);
  phones.push(phone);
  phones.sort((one, other) => one.place - other.place);
  byId("rack").replaceChildren(...phones.map((each) => each.root));
  activate(phone);
  follow();
  return phone;
}

function remove(phone) {
  if (phones.length === 1) return;
  phone.hangUp();
  phones.splice(phones.indexOf(phone), 1);
  phone.root.remove();
  if (active === phone) active = null;
  activate(active ?? phones[0]);
  follow();
}

/** The panels speak of this phone from now on. */
function activate(phone) {
  if (!phones.includes(phone)) return;
  const changed = active !== phone;
  active = phone;
  for (const each of phones) each.root.classList.toggle("active", each === phone);
  if (changed || byId("switch").childElementCount !== phones.length + 1) switches();
  panels();
}

/** On a narrow page one phone shows at a time; these choose which, and add one everywhere. */
function switches() {
  const buttons = phones.map((phone) => {
    const button = make("button", { type: "button", class: "switch-phone", "aria-pressed": String(phone === active), "data-place": phone.place }, make("span", { class: "dot", "data-place": phone.place }, String(phone.place)), make("span", { dir: "ltr" }, `…${phone.number.slice(-3)}`));
    button.addEventListener("click", () => activate(phone));
    return button;
  });
  const more = make("button", { type: "button", class: "switch-add", id: "add-phone", disabled: phones.length >= MOST }, say("Add a phone"));
  more.addEventListener("click", add);
  byId("switch").replaceChildren(...buttons, more);
  for (const phone of phones) phone.root.querySelector('[data-part="remove"]').hidden = phones.length === 1;
}

function panels() {
  if (!active) return;
  for (const place of document.querySelectorAll("[data-on-phone]")) {
    place.replaceChildren(make("span", { class: "dot", "data-place": active.place }, String(active.place)), make("span", { dir: "ltr" }, active.number || say("no line")));
  }
  byId("redial").disabled = active.busy;
  byId("repeat").disabled = active.busy || active.last === null;
}

// What comes in

/** Follow the lines of all phones. */
function follow() {
  live.open(phones.map((phone) => phone.number));
  switches();
  panels();
}

function received(text) {
  for (const phone of phones) if (phone.number === text.msisdn) phone.received(text);
}

function held(line) {
  for (const phone of phones) {
    if (phone.number !== line.asked && phone.number !== line.msisdn) continue;
    phone.called(line.msisdn);
    story.line(phone.holdings.show(line), line, phone);
  }
}

const digits = (number) => number.replace(/\D/g, "");
/** Payment → the state that was last told; null until the first look: what lies before is not told. */
let payments = null;

function asked({ prompts, payments: latest }) {
  for (const phone of phones) phone.prompt.show(prompts.find((each) => each.phone === digits(phone.number)) ?? null);
  const known = payments;
  payments = new Map(latest.map((each) => [each.id, each.state]));
  if (known === null) return;
  for (const each of latest) {
    if (known.get(each.id) === each.state) continue;
    const phone = phones.find((one) => digits(one.number) === each.phone);
    if (phone) story.payment(each, phone);
    if (!known.has(each.id)) faults.paid();
  }
}

// Hops

function hop(sent) {
  for (const card of document.querySelectorAll(".card")) if (sent.typed.includes(card.dataset.pin)) sent.session.voucher = card;
  glass.add(sent);
}

// Scratch cards

function spend(card) {
  card.classList.add("spent");
  card.setAttribute("aria-label", say("{card}, used", { card: card.textContent }));
}

async function loadVouchers() {
  const vouchers = (await ask("vouchers")) ?? [];
  byId("vouchers-field").hidden = vouchers.length === 0;
  for (const { pin, value, used } of vouchers) {
    const card = make("button", { type: "button", class: "card", "data-pin": pin }, make("b", { dir: "ltr" }, value), " ", make("span", { dir: "ltr" }, pin.replace(/(\d{4})(?=\d)/g, "$1 ")));
    card.addEventListener("click", () => active.type(pin));
    byId("vouchers").append(card);
    if (used) spend(card);
  }
}

// Controls

for (const chip of document.querySelectorAll("[data-dial]")) {
  chip.addEventListener("click", () => {
    active.hangUp();
    active.dial(chip.dataset.dial);
  });
}
byId("redial").addEventListener("click", () => active.redial());
byId("repeat").addEventListener("click", () => active.repeat());
document.addEventListener("keydown", (event) => byId("tour").hidden && active?.display.catch(event));

add();
if (matchMedia(`(min-width: ${WIDE}px)`).matches) add();
activate(phones[0]);
loadVouchers();
new Tour({ phone: () => phones[0], activate: () => activate(phones[0]), faults, network });
