// The gateway's side of the wire: an Africa's Talking USSD session over the server's own HTTP path.
//
// Each hop is a form with sessionId, phoneNumber, networkCode, serviceCode and text, all inputs so far joined by `*`;
// the answer starts with CON or END; the gateway reports the end of a session to /events.

import { randomHex } from "./dom.js";

/** The network code that Africa's Talking's own simulator sends. */
const NETWORK_CODE = "99999";

/** One session between a line and the service. It keeps what the gateway keeps: inputs, answers, start. */
export class Session {
  constructor({ gateway, secret, msisdn, serviceCode }) {
    this.id = `ATUid_${randomHex()}`;
    this.path = `/ussd/${encodeURIComponent(gateway)}`;
    this.suffix = secret ? `/${encodeURIComponent(secret)}` : "";
    this.msisdn = msisdn;
    this.serviceCode = serviceCode;
    this.inputs = [];
    this.hops = 0;
    this.answered = 0;
    this.labels = [];
    this.startedAt = Date.now();
    this.lastAnswer = "";
    this.ended = false;
  }

  /** All inputs so far, as the gateway sends them. */
  get text() {
    return this.inputs.join("*");
  }

  /** Post the hop with this text; the answer as `{ok, ends, text, body, label, ms}`. Never throws. */
  async post(text) {
    const form = new URLSearchParams({
      sessionId: this.id,
      phoneNumber: this.msisdn,
      networkCode: NETWORK_CODE,
      serviceCode: this.serviceCode,
      text,
    });
    const from = performance.now();
    try {
      const answer = await fetch(this.path + this.suffix, { method: "POST", body: form });
      const body = await answer.text();
      // The server leaves one trace for each answer in the gateway's words, none for a refused request.
      if (answer.ok) this.answered += 1;
      return { ...read(answer.status, body), label: answer.headers.get("at-ussd-hop-metadata") ?? "", ms: performance.now() - from };
    } catch (error) {
      return { ok: false, ends: true, text: "", body: String(error), label: "", ms: performance.now() - from };
    }
  }

  /** Take an answer as the one the person saw. */
  accept(answer) {
    this.lastAnswer = answer.body;
    if (answer.label) this.labels.push(answer.label);
    this.ended = answer.ends;
  }

  /** Tell the service that the session is over: `Success` after an END, `Incomplete` when the person hung up. */
  async finish(status) {
    const form = new URLSearchParams({
      date: new Date().toISOString().slice(0, 19).replace("T", " "),
      sessionId: this.id,
      serviceCode: this.serviceCode,
      networkCode: NETWORK_CODE,
      phoneNumber: this.msisdn,
      status,
      cost: "0",
      durationInMillis: String(Date.now() - this.startedAt),
      hopsCount: String(this.hops),
      hopsMetadata: this.labels.join(","),
      input: this.text,
      lastAppResponse: this.lastAnswer,
    });
    try {
      await fetch(`${this.path}/events${this.suffix}`, { method: "POST", body: form });
    } catch {
      // The gateway reports once and never looks back.
    }
  }
}

/** An answer as the gateway understands it: anything but 2xx with CON or END ends the session with an error. */
function read(status, body) {
  const known = /^(CON|END) ?/.exec(body);
  if (status < 200 || status > 299 || known === null) return { ok: false, ends: true, text: "", body };
  return { ok: true, ends: known[1] === "END", text: body.slice(known[0].length), body };
}
