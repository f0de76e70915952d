// The handset: its screen, its keys, its counter. It knows nothing of gateways or sessions.
//
// Modes of the screen: `idle` (waiting for a number), `busy` (a hop is under way), `menu` (an answer is expected),
// `notice` (the last word; any key clears it).

import { direction, part } from "./dom.js";
import { measure } from "./septets.js";
import { say } from "./words.js";

/** The handset. `onSend(typed)` and `onEnd()` are called when the green and the red key are pressed. */
export class Display {
  constructor(root, { onSend, onEnd }) {
    this.root = root;
    this.display = part(root, "display");
    this.screen = part(root, "screen");
    this.typed = part(root, "typed");
    this.onEnd = onEnd;
    /** Where keys go while something else than the dialling field takes them. */
    this.field = null;
    this.capacity = { septets: 182, ucs2: 80 };
    this.display.addEventListener("submit", (event) => {
      event.preventDefault();
      if (this.mode === "notice") this.idle();
      // The green key without a number dials the last one again, as on any phone.
      else if (this.mode === "idle") onSend(this.typed.value || this.typed.placeholder);
      else if (this.mode === "menu") onSend(this.typed.value);
    });
    part(root, "call").addEventListener("click", () => (this.field?.form ?? this.display).requestSubmit());
    part(root, "end").addEventListener("click", onEnd);
    part(root, "clear").addEventListener("click", () => this.erase());
    for (const key of root.querySelectorAll("[data-key]")) key.addEventListener("click", () => this.type(key.dataset.key));
    this.idle();
    this.tick();
  }

  get mode() {
    return this.display.dataset.mode;
  }

  /** Add to what is typed; a notice gives way first. */
  type(text) {
    if (this.field) {
      this.field.value = (this.field.value + text.replace(/\D/g, "")).slice(0, this.field.maxLength);
      return;
    }
    if (this.mode === "busy") return;
    if (this.mode === "notice") this.idle();
    this.typed.value = (this.typed.value + text).slice(0, this.typed.maxLength);
  }

  /** Replace what is typed, ready to be sent. */
  fill(text) {
    this.typed.value = "";
    this.type(text);
    this.focus();
  }

  erase() {
    if (this.field) this.field.value = this.field.value.slice(0, -1);
    else if (this.mode === "notice") this.idle();
    else this.typed.value = this.typed.value.slice(0, -1);
  }

  /** Back to waiting for a number. */
  idle() {
    this.show("idle", "");
  }

  /** A hop is under way. */
  busy() {
    this.show("busy", say("Running …"));
  }

  /** What the service said; with `ends` it was the last word. */
  answer(text, ends) {
    this.show(ends ? "notice" : "menu", text);
    this.count(text);
  }

  /** What the phone or the network itself says. */
  notice(text) {
    this.show("notice", text);
    this.count("");
  }

  show(mode, text) {
    this.display.dataset.mode = mode;
    this.screen.textContent = text;
    this.screen.dir = direction(text);
    this.screen.scrollTop = 0;
    this.typed.value = "";
    this.typed.disabled = mode === "busy";
    if (mode === "idle") this.count("");
  }

  /** Where a keyboard is at hand the next answer can be typed at once; a touch screen keeps its own keys away. */
  focus() {
    if (matchMedia("(pointer: fine)").matches) this.typed.focus({ preventScroll: true });
  }

  /** How full the screen is, against what the chosen gateway takes. */
  count(text) {
    const { unit, used } = measure(text);
    const most = unit === "septets" ? this.capacity.septets : this.capacity.ucs2;
    part(this.root, "meter-used").textContent = used;
    part(this.root, "meter-most").textContent = most;
    part(this.root, "meter-unit").textContent = unit === "septets" ? say("septets") : say("UCS-2 units");
    part(this.root, "meter-fill").style.width = `${Math.min(100, (100 * used) / most)}%`;
    part(this.root, "meter").classList.toggle("over", used > most);
    this.counted = text;
  }

  /** The chosen gateway takes this much: `{septets, ucs2}`. */
  fit(capacity) {
    this.capacity = capacity;
    this.count(this.counted ?? "");
  }

  /** Physical keys work wherever the focus is, unless another field or button wants them. */
  catch(event) {
    if (this.display.hidden) return;
    if (event.key === "Escape") this.onEnd();
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea, button, a")) return;
    if (/^[0-9*#+]$/.test(event.key)) this.type(event.key);
    else if (event.key === "Backspace") this.erase();
    else if (event.key === "Enter") part(this.root, "call").click();
  }

  tick() {
    const now = new Date();
    part(this.root, "clock").textContent = this.screen.dataset.clock = now.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
    part(this.root, "clock").dateTime = now.toISOString();
    if (this.root.isConnected || !this.ticked) setTimeout(() => this.tick(), 60000 - (now.getTime() % 60000));
    this.ticked = true;
  }
}
