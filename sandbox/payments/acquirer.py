"""An acquiring bank: ISO 8583 over TCP, ASCII, each message behind its length in two bytes.

It answers what was asked before with what it answered then, reverses what it never saw (and refuses it when it comes
after all), and answers questions (0600) about a payment in field 48.
"""

from __future__ import annotations

import asyncio
import csv
import io
import secrets
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import iso8583
from aiohttp import web
from iso8583.specs import default_ascii

from sandbox.payments.desk import Desk
from sandbox.payments.ledger import Payment
from sandbox.payments.plays import Play, Scripted

Message = dict[str, str]

FACE = "acquirer"
CURRENCIES = {"404": "KES", "800": "UGX", "834": "TZS", "840": "USD", "978": "EUR"}
CODES = {
    "funds": "51",
    "cancelled": "17",
    "wrong_pin": "55",
    "limit": "61",
    "method": "54",
    "fraud": "59",
    "other": "05",
    "timeout": "91",
}
ECHOED = ("3", "4", "7", "11", "32", "37", "41", "42", "49", "70")
REFUND = "200000"


class Acquirer:
    """The bank."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        #: every message that came, in order, for those who look at what was said
        self.heard: list[Message] = []
        self._server: asyncio.Server | None = None
        self._lines: set[asyncio.StreamWriter] = set()
        desk.tellers[FACE] = self._tell

    async def start(self, host: str, port: int) -> int:
        """Listen; the port."""
        self._server = await asyncio.start_server(self._serve, host, port)
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Hang up."""
        if self._server is not None:
            self._server.close()
            self.hang_up()
            await self._server.wait_closed()

    def hang_up(self) -> None:
        """Break every line."""
        for writer in list(self._lines):
            writer.transport.abort()

    async def _tell(self, payment: Payment) -> None:
        """A bank tells nothing: it answers."""

    async def settlement(self, _request: web.Request) -> web.StreamResponse:
        """The settlement file."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(["rrn", "type", "amount", "fee", "currency", "booked_at", "original_rrn"])
        kinds = {"charge": "purchase", "refund": "refund", "dispute": "chargeback"}
        for payment in self._desk.ledger.all(FACE):
            for moved in payment.movements:
                paid = moved.kind == "charge"
                name = payment.id if paid else moved.ref
                fee, at = (moved.amount // 100 if paid else 0), moved.at.isoformat()
                row = [name, kinds[moved.kind], abs(moved.amount), fee, payment.currency, at]
                writer.writerow([*row, "" if paid else payment.id])
        return web.Response(text=out.getvalue(), content_type="text/csv")

    # --- the line ---

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._lines.add(writer)
        try:
            while True:
                length = int.from_bytes(await reader.readexactly(2))
                raw = await reader.readexactly(length)
                if raw:
                    # Answers may overtake each other.
                    self._desk.later(self._take(raw, writer))
        except (asyncio.IncompleteReadError, OSError):
            pass
        finally:
            self._lines.discard(writer)
            writer.close()

    async def _take(self, raw: bytes, writer: asyncio.StreamWriter) -> None:
        try:
            decoded, _ = iso8583.decode(raw, default_ascii)
        except ValueError:
            return
        message = {field: value for field, value in decoded.items() if field not in {"h", "p", "1"}}
        self.heard.append(message)
        answer = await self._answer(message, writer)
        if answer is None or writer.is_closing():
            return
        kind = f"{message['t'][:2]}{int(message['t'][2]) + 1}0"
        echoed = {field: message[field] for field in ECHOED if field in message}
        said, _ = iso8583.encode({"t": kind} | echoed | answer, default_ascii)
        with suppress(OSError):
            writer.write(len(said).to_bytes(2) + bytes(said))
            await writer.drain()

    async def _answer(self, message: Message, writer: asyncio.StreamWriter) -> Message | None:
        kind = message["t"]
        if kind == "0800":
            return {"39": "00"}
        if "2" in message or message.get("49") not in CURRENCIES:
            return {"39": "12"}
        if kind in {"0100", "0101", "0200", "0201"}:
            return self._refund(message) if message.get("3") == REFUND else await self._charge(message, writer)
        if kind in {"0220", "0221"}:
            return self._advice(message)
        if kind in {"0400", "0401"}:
            return self._reversal(message)
        return self._inquiry(message) if kind == "0600" else {"39": "12"}

    # --- what is said ---

    async def _charge(self, message: Message, writer: asyncio.StreamWriter) -> Message | None:
        known = self._desk.ledger.by_id(FACE, message["37"])
        if known is not None:
            # Asked again: the same answer. Reversed before it came: refused.
            return {"39": "94"} if known.state == "reversed" else self._said(known)
        payment = _payment(message)
        payment.then = "held" if message["t"].startswith("01") else "captured"
        scripted = self._desk.play(FACE, payment.major)
        if scripted.play is Play.HANG:
            return None
        if scripted.play is Play.ERROR:
            return {"39": "96"}
        if scripted.play is Play.SLOW:
            await self._desk.wait_for(scripted.seconds)
        return await self._decide(payment, scripted, writer)

    async def _decide(self, payment: Payment, scripted: Scripted, writer: asyncio.StreamWriter) -> Message | None:
        self._desk.prepare(payment, scripted)
        payment.tells = 0
        payment.details["approval"] = f"{secrets.randbelow(10**6):06d}"
        self._desk.settle(payment)
        if scripted.play is Play.LATE:
            await self._desk.wait_for(scripted.seconds)
        if scripted.play is Play.LOST:
            return None
        if scripted.play is Play.DROP:
            writer.transport.abort()
            return None
        return self._said(payment)

    def _said(self, payment: Payment) -> Message:
        if payment.state == "declined":
            return {"39": CODES.get(payment.reason or "other", "05")}
        return {"38": payment.details["approval"], "39": "00"}

    def _advice(self, message: Message) -> Message:
        payment = self._desk.ledger.by_id(FACE, message["37"])
        if payment is None or payment.state not in {"held", "captured"}:
            return {"39": "25"}
        if payment.state == "held":
            payment.become("captured")
            self._desk.ledger.save(payment)
        return self._said(payment)

    def _reversal(self, message: Message) -> Message | None:
        scripted = self._desk.plays.next("reversal", _payment(message).major)
        if scripted.face == "reversal" and scripted.play is Play.HANG:
            return None
        payment = self._desk.ledger.by_id(FACE, message["37"]) or _payment(message)
        if payment.state == "refunded":
            return {"39": "21"}
        fresh = payment.state == "pending"
        payment.become("reversed")
        payment.movements.clear()
        self._desk.ledger.save(payment)
        return {"39": "25" if fresh else "00"}

    def _refund(self, message: Message) -> Message:
        original = message.get("48", "")[5:17]
        payment = self._desk.ledger.by_id(FACE, original)
        if payment is None:
            return {"39": "25"}
        try:
            payment.give_back(message["37"], int(message["4"]))
        except ValueError:
            return {"39": "13"}
        self._desk.ledger.save(payment)
        return {"38": payment.details["approval"], "39": "00"}

    def _inquiry(self, message: Message) -> Message:
        payment = self._desk.ledger.by_id(FACE, message["37"])
        if payment is None:
            return {"39": "25"}
        standing = "approved" if payment.state == "captured" else payment.state
        private = {"ST": standing, "RC": self._said(payment)["39"] if standing == "declined" else "00"}
        text = "".join(f"{name}{len(value):03d}{value}" for name, value in private.items())
        return {"4": f"{payment.amount:012d}", "39": "00", "48": text}


def _payment(message: Message, **more: Any) -> Payment:
    return Payment(
        face=FACE,
        id=message["37"],
        key=message["37"],
        amount=int(message["4"]),
        currency=CURRENCIES[message["49"]],
        created_at=datetime.now(UTC),
        **more,
    )
