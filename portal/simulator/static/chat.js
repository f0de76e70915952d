// The phone's Telegram: writes and taps as a person does, and shows the chat as the sandbox's Bot API server keeps it.

import { compose } from "./compose.js";
import { clock, direction, make, part, wait } from "./dom.js";
import { say } from "./words.js";

/** How often an open chat looks for what the bot has said or changed, in milliseconds. */
const LOOK_EVERY = 350;

export class Chat {
  /** `person()` is `{number, language}` of the line; `onSent(hop)` is told of each message and tap. */
  constructor(root, { person, onSent }) {
    this.root = root;
    this.form = part(root, "chat");
    if (!this.form) return;
    this.person = person;
    this.onSent = onSent;
    this.thread = part(root, "chat-thread");
    this.fill = compose(this.form, part(root, "chat-compose"), (text) => Boolean(this.id) && void this.send("messages", { text }, text));
  }

  /** Whether the phone shows its chat. */
  get open() {
    return Boolean(this.form) && !this.form.hidden;
  }

  /** The person's chat: a number of its own for each line. */
  get id() {
    return this.person().number.replace(/\D/g, "");
  }

  /** Another line is another person with another chat. */
  reset() {
    if (!this.form) return;
    this.seen = null;
    this.thread.replaceChildren();
    part(this.root, "chat-id").textContent = this.id || say("no line");
  }

  /** The tab was opened or left: only an open chat looks. */
  async turned() {
    if (!this.open || this.looking) return;
    this.looking = true;
    while (this.open && this.root.isConnected) {
      await this.look();
      await wait(LOOK_EVERY);
    }
    this.looking = false;
  }

  async look() {
    const chat = this.id;
    if (!chat) return;
    const answer = await fetch(`/simulator/chats/${chat}?seen=${this.seen ?? ""}`).catch(() => null);
    if (answer?.status !== 200 || chat !== this.id) return;
    const { version, messages } = await answer.json();
    this.seen = version;
    this.show(messages);
  }

  async send(what, body, input) {
    const answer = await fetch(`/simulator/chats/${this.id}/${what}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ ...body, language: this.person().language }),
    }).catch(() => null);
    const ok = Boolean(answer?.ok);
    const trace = ok ? `telegram:${(await answer.json()).update_id}` : "";
    // The server takes it before the bot has seen it: how long the bot took is in the trace alone.
    this.onSent({ channel: "Telegram", session: `chat:${this.id}`, trace, input, ok, ms: null });
    await this.look();
  }

  show(messages) {
    const held = document.activeElement?.dataset?.tap;
    this.thread.replaceChildren(...messages.map((message) => this.bubble(message)));
    if (held) [...this.thread.querySelectorAll("[data-tap]")].find((button) => button.dataset.tap === held)?.focus({ preventScroll: true });
    this.thread.scrollTop = this.thread.scrollHeight;
  }

  bubble(message) {
    const { message_id: id, from, text, date, edit_date: edited, reply_markup: markup } = message;
    const name = from.is_bot ? from.first_name : say("You");
    return make("li", { class: `bubble ${from.is_bot ? "in" : "out"}` },
      make("p", { class: "text-head" }, make("b", {}, name), make("span", {}, edited && `${say("edited")} `, clock(new Date((edited ?? date) * 1000)))),
      make("p", { class: "text-body", dir: direction(text) }, text),
      ...(markup?.inline_keyboard ?? []).map((row) => make("div", { class: "taps" }, ...row.map((button) => this.button(id, button)))),
    );
  }

  button(id, { text, callback_data: data }) {
    const button = make("button", { type: "button", class: "tap", "data-tap": `${id}|${data}`, dir: direction(text) }, text);
    button.addEventListener("click", () => this.send("taps", { message_id: id, data }, `[${text}]`));
    return button;
  }
}
