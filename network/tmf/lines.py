"""Whose balance it is: lines by number and by the references that resources carry, and how they are written."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from engine.api import Engine
from engine.words import BadNumber, LineRef, Subscriber, UnknownLine
from network.http import Problem, wrong
from network.reference import Reference, read_reference
from network.tmf import wire
from network.tmf.amounts import BAD
from runtime.keyring import Keyring

#: where prepay balances are served
ROOT = "/tmf-api/prepayBalanceManagement/v4"

NOT_FOUND = "NOT_FOUND"
#: what the references of buckets are of
BUCKET = "bucket"


class Owner(NamedTuple):
    """A line and its number, which an erased person has none of."""

    line: LineRef
    msisdn: str | None


class Lines:
    """Lines as TMF654 names them: by ``logicalResource``, by ``bucket``."""

    def __init__(self, engine: Engine, keyring: Keyring) -> None:
        self._engine = engine
        self._keyring = keyring
        self.currency = engine.operator.currency

    async def subscriber(self, number: str, field: str) -> Subscriber:
        """The line with this number, with or without ``+``. Raises ``Problem`` 400 and 404 that name ``field``."""
        try:
            return await self._engine.subscriber(number)
        except BadNumber as error:
            raise wrong(BAD, field, f"{error.args[0]}: a number of this operator is meant") from None
        except UnknownLine:
            raise wrong(NOT_FOUND, field, "no such line", 404) from None

    async def named(self, asked: wire.ActionCreate) -> Owner:
        """The line that an action is asked for. Raises ``Problem``, also where its names contradict each other."""
        found = [await self._by_number(ref, "logicalResource[0].id") for ref in asked.logical_resource]
        if asked.bucket is not None:
            found.append(await self._by_bucket(asked.bucket.id))
        if not found:
            raise wrong(BAD, "logicalResource", "missing: logicalResource or bucket says whose balance it is")
        if len({owner.line.account for owner in found}) > 1:
            raise wrong(BAD, "bucket.id", "it belongs to another account than logicalResource")
        party = asked.party_account
        if party is not None and _other_account(party.id, found[0].line):
            raise wrong(BAD, "partyAccount.id", "it is another account than that of the line")
        return found[0]

    async def numbered(self, line: LineRef) -> Owner:
        """A line with its number."""
        contact = (await self._engine.accounts.reveal([line])).get(line.line_id)
        return Owner(line, None if contact is None else contact.msisdn)

    async def by_reference(self, text: str, kind: str) -> tuple[Owner, UUID]:
        """Line and thing of a reference that we gave. Raises ``Problem`` 404."""
        reference = self.reference(text, kind)
        return await self.numbered(reference.line), reference.thing

    def reference(self, text: str, kind: str) -> Reference:
        """What a reference that we gave is of. Raises ``Problem`` 404."""
        reference = read_reference(text, self._keyring, kind)
        if reference is None:
            raise Problem(404, NOT_FOUND, f"no such {kind}")
        return reference

    def id_of(self, line: LineRef, thing: UUID, kind: str) -> str:
        """The id under which we give something of a line."""
        return Reference(line, thing).text(self._keyring, kind)

    def bucket_ref(self, line: LineRef, bucket_id: UUID) -> wire.Ref:
        """A bucket, referred to."""
        name = self.id_of(line, bucket_id, BUCKET)
        return wire.Ref(id=name, href=f"{ROOT}/bucket/{name}")

    async def _by_number(self, ref: wire.Ref, field: str) -> Owner:
        subscriber = await self.subscriber(ref.id, field)
        return Owner(line_of(subscriber), subscriber.msisdn)

    async def _by_bucket(self, text: str) -> Owner:
        reference = read_reference(text, self._keyring, BUCKET)
        if reference is None:
            raise wrong(NOT_FOUND, "bucket.id", "no such bucket", 404)
        return await self.numbered(reference.line)


def line_of(subscriber: Subscriber) -> LineRef:
    """Where a subscriber's line lives."""
    return LineRef(*subscriber.account, subscriber.line_id)


def resource_refs(owner: Owner) -> tuple[wire.Ref, ...]:
    """A line, as a logical resource."""
    return () if owner.msisdn is None else (wire.Ref(id=owner.msisdn, name="MSISDN"),)


def account_ref(line: LineRef) -> wire.Ref:
    """A line's account."""
    return wire.Ref(id=str(line.account_id))


def masked(msisdn: str) -> str:
    """A number as the other one may read it: ``+254712***001``."""
    return f"{msisdn[:-6]}***{msisdn[-3:]}"


def _other_account(given: str, line: LineRef) -> bool:
    # Other systems have names of their own for an account: only what looks like ours is held to it.
    try:
        return UUID(given) != line.account_id
    except ValueError:
        return False
