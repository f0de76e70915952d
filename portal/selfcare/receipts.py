"""Receipts: what was booked, with a proof that anybody can check without us; on a page, as JSON and on paper."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from ipaddress import IPv4Network, IPv6Network
from typing import Any
from uuid import UUID

import msgspec
from aiohttp import web

from channels.callers import caller_of
from channels.quota import Quota
from dialogs.values import text
from engine.api import NoReceipt, SignedReceipt
from engine.words import Answer
from portal.base.words import RIGHT_TO_LEFT
from portal.selfcare.history import after_of, begins_after, row_of
from portal.selfcare.paper import Paper
from portal.selfcare.person import Desk, Person

#: kinds of operations that a person wants a proof of
PROVED = (
    *("recharge", "settle", "purchase", "renew", "transfer", "undo"),
    *("advance", "refund", "reverse", "restore", "make_bill"),
)
PAGE_ROWS = 20
#: receipts that one address may ask for in a minute by reference: short references shall not be tried one by one
ASKED, MINUTE = 20, 60


class ReceiptPages:
    """A person's own receipts."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """What they answer to."""
        inside = self._desk.signed_in
        one = "/receipts/{key:[0-9a-f-]{36}}"
        return [
            web.get("/receipts", inside(self._list)),
            web.get(one, inside(self._show)),
            web.get(one + ".json", inside(self._json)),
            web.get(one + ".pdf", inside(self._pdf)),
        ]

    async def _list(self, request: web.Request, person: Person) -> web.Response:
        done = await self._desk.engine.operations(
            person.subscriber.account,
            kinds=PROVED,
            line_id=await self._desk.only_line(person),
            after=begins_after(request),
            most=PAGE_ROWS + 1,
        )
        last = done[PAGE_ROWS - 1].answer if len(done) > PAGE_ROWS else None
        rows = [row_of(self._desk, person, one.answer) for one in done[:PAGE_ROWS] if one.answer.ok]
        following = "" if last is None else after_of(last)
        return self._desk.page(request, person, "receipts.html", here="/more", rows=rows, following=following)

    async def _show(self, request: web.Request, person: Person) -> web.Response:
        answer, signed = await self._found(request, person)
        row = row_of(self._desk, person, answer)
        facts = self._facts(person, answer)
        proof = signed.proof and {"at": signed.proof.root.get("sealed_at"), "key_id": signed.proof.root.get("key_id")}
        return self._desk.page(
            request, person, "receipt.html", here="/more", row=row, facts=facts, proof=proof, key=answer.key
        )

    async def _json(self, request: web.Request, person: Person) -> web.Response:
        answer, signed = await self._found(request, person)
        return _file(signed.json(), "application/json", f"receipt-{answer.reference}.json")

    async def _pdf(self, request: web.Request, person: Person) -> web.Response:
        answer, signed = await self._found(request, person)
        row = row_of(self._desk, person, answer)
        attached = text(
            "The signed receipt is attached to this file. Anybody can check it with our public key, without us:"
        )
        foot = f"{self._desk.say(person, attached)} manage.py receipt verify"
        if signed.proof is None:
            foot = self._desk.say(person, text("Not sealed yet: take this receipt again in two minutes."))
        paper = Paper(
            language=person.language,
            rtl=person.language in RIGHT_TO_LEFT,
            operator=self._desk.operator.name,
            title=f"{self._desk.say(person, text('Receipt'))}: {row.name}",
            amount=row.changes[0][0] if row.changes else row.reference,
            facts=self._facts(person, answer),
            foot=foot,
            at=datetime.now(UTC),
        )
        return _file(await asyncio.to_thread(_pdf_of, paper, signed.json()), "application/pdf", f"{row.reference}.pdf")

    # -- parts ------------------------------------------------------------------------------------------------------

    async def _found(self, request: web.Request, person: Person) -> tuple[Answer, SignedReceipt]:
        """The operation of the path and its receipt, if it is one of the person's to know."""
        account = person.subscriber.account
        try:
            key = UUID(request.match_info["key"])
            found = await self._desk.engine.explain(account, key, await self._desk.only_line(person))
            if found is None:
                raise web.HTTPNotFound
            signed = await self._desk.engine.receipt(key, account)
        except (ValueError, NoReceipt):
            raise web.HTTPNotFound from None
        return msgspec.convert(found["answer"], type=Answer), signed

    def _facts(self, person: Person, answer: Answer) -> list[tuple[str, str]]:
        """What stands on a receipt: name and value, in the person's language."""
        row = row_of(self._desk, person, answer)
        say = self._desk.say
        facts = [
            (say(person, text("Reference")), row.reference),
            (say(person, text("When")), self._desk.moment(row.at)),
            (say(person, text("Number")), self._desk.signed(person, "", person.subscriber.msisdn)),
        ]
        for change, left, product in row.changes:
            name = self._desk.product(person, product)
            facts.append((name, change))
            facts.append((say(person, text("{product}: left", product=name)), left))
        return facts


class PublicReceipts:
    """``GET /receipts/{reference}``: the signed receipt of a payment, for whoever was shown its reference.

    It holds codes, ids and amounts, no number and no name.
    """

    def __init__(self, desk: Desk, quota: Quota, proxies: tuple[IPv4Network | IPv6Network, ...]) -> None:
        self._desk = desk
        self._quota = quota
        self._proxies = proxies

    def routes(self) -> Sequence[web.AbstractRouteDef]:
        """What they answer to."""
        return [web.get("/{reference:[0-9A-Za-z]{4,12}}", self._show)]

    async def _show(self, request: web.Request) -> web.Response:
        if await self._quota.count("receipt_address", caller_of(request, self._proxies), MINUTE) > ASKED:
            raise web.HTTPTooManyRequests(headers={"Retry-After": str(MINUTE)})
        try:
            signed = await self._desk.engine.receipt(request.match_info["reference"])
        except NoReceipt:
            raise web.HTTPNotFound(text="reference: of no payment, or of more than one") from None
        return web.Response(body=signed.json(), content_type="application/json", headers=_chained(signed))


def _chained(signed: SignedReceipt) -> Mapping[str, str]:
    """A receipt without proof says when to come back."""
    return {} if signed.chained_by is None else {"Retry-After": "60"}


def _file(body: bytes, kind: str, name: str) -> web.Response:
    headers: dict[str, Any] = {"Content-Disposition": f'attachment; filename="{name}"'}
    return web.Response(body=body, content_type=kind, headers=headers)


def _pdf_of(paper: Paper, signed: bytes) -> bytes:
    """The page, with ``signed`` attached. Takes some hundredths of a second: not for an event loop."""
    # The printer's fonts and tables take a second to import, which every start of a server would wait for.
    from portal.selfcare.printing import printed  # noqa: PLC0415

    return printed(paper, signed)
