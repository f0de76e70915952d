// How long the network still lets a session last.

import { part } from "./dom.js";
import { say } from "./words.js";

const LASTS = Number(document.body.dataset.sessionSeconds);

export class Timer {
  /** `onOver()` is called when the time of a session is over. */
  constructor(root, { onOver }) {
    this.root = root;
    this.onOver = onOver;
    this.stop();
  }

  start() {
    this.stop();
    this.until = Date.now() + LASTS * 1000;
    this.ticking = setInterval(() => this.draw(), 1000);
    this.draw();
  }

  stop() {
    clearInterval(this.ticking);
    this.until = null;
    this.draw();
  }

  draw() {
    const left = this.until === null ? LASTS : Math.max(0, Math.ceil((this.until - Date.now()) / 1000));
    const shown = `${Math.floor(left / 60)}:${String(left % 60).padStart(2, "0")}`;
    part(this.root, "time-fill").style.width = `${(100 * left) / LASTS}%`;
    part(this.root, "time-text").textContent = this.until === null ? say("session up to {time}", { time: shown }) : say("session ends in {time}", { time: shown });
    part(this.root, "time").classList.toggle("over", this.until !== null && left <= 20);
    if (this.until !== null && left === 0) this.onOver();
  }
}
