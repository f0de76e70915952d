"""Finding a line, a payment, an operation or a voucher by whatever a caller can say: one probe of an index for each."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.accounts.finding import Finder
from engine.books.tables import NEVER_QUOTED, operation
from engine.payments.service import Payments
from engine.recharge.batches import VoucherBatches
from engine.recharge.tables import voucher, voucher_batch
from engine.storage.sharding import shard_of
from engine.words import BadNumber, BadVoucherNumber, Found, LineRef, OperationHit, Payment, UnknownLine, VoucherHit

#: characters that a search may have
LONGEST = 64
#: of each kind that one search shows
MOST = 10
#: the latest batches are looked through for a bare serial
BATCHES = 200
#: what a person quotes (Crockford base 32), however it was written down
REFERENCE = re.compile(r"[0-9A-Za-z]{6}")
#: a batch by all of its id, or how it begins, and a serial
SERIAL = re.compile(r"(?P<batch>[0-9a-fA-F-]{8,36})[\s,/#:]+(?P<serial>\d{1,9})")
#: what a provider may call a payment
GATEWAY_REF = re.compile(r"[0-9A-Za-z_.:-]{5,64}")


class Searching:
    """The search of one installation."""

    def __init__(
        self,
        database: AsyncEngine,
        *,
        finder: Finder,
        payments: Payments,
        vouchers: VoucherBatches,
        gateways: Sequence[str],
    ) -> None:
        """``gateways`` are the names of those whose references payments may be found by."""
        self._reads = database.execution_options(isolation_level="AUTOCOMMIT")
        self._finder = finder
        self._payments = payments
        self._vouchers = vouchers
        self._gateways = tuple(gateways)

    async def find(self, wanted: str) -> Found:
        """What has this number, IMSI, reference, payment id, provider's reference, voucher serial or voucher number."""
        wanted = wanted.strip()[:LONGEST]
        if not wanted:
            return Found()
        lines, payments, operations, vouchers = await asyncio.gather(
            self._lines(wanted), self._some_payments(wanted), self._operations(wanted), self._some_vouchers(wanted)
        )
        # A settlement and its payment have the same reference: the payment says more.
        known = {one.reference for one in payments}
        return Found(
            lines=tuple(lines),
            payments=tuple(payments),
            operations=tuple(one for one in operations if one.reference not in known),
            vouchers=tuple(vouchers),
        )

    async def _lines(self, wanted: str) -> list[LineRef]:
        found: dict[LineRef, None] = {}
        for kind in ("msisdn", "imsi"):
            with suppress(BadNumber, UnknownLine):
                found[await self._finder.line_of(f"{kind}-{wanted}")] = None
        return list(found)

    async def _some_payments(self, wanted: str) -> list[Payment]:
        named = self._gateways if GATEWAY_REF.fullmatch(wanted) else ()
        asking = [self._payments.find_by_gateway_ref(name, wanted) for name in named]
        if REFERENCE.fullmatch(wanted):
            asking.append(self._payments.find_payment(wanted))
        with suppress(ValueError):
            asking.append(self._payments.payment(UUID(wanted)))
        found = await asyncio.gather(*asking)
        return list({one.payment_id: one for one in found if one is not None}.values())

    async def _operations(self, wanted: str) -> list[OperationHit]:
        if not REFERENCE.fullmatch(wanted):
            return []
        names = ("shard", "account_id", "line_id", "kind", "code", "reference", "booked_at")
        query = (
            sa.select(*(operation.c[name] for name in names))
            # In these very words, so that its partial index serves.
            .where(operation.c.reference == _spoken(wanted), sa.text(f"kind NOT IN {NEVER_QUOTED}"))
            .order_by(operation.c.booked_at.desc())
            .limit(MOST)
        )
        async with self._reads.connect() as connection:
            rows = (await connection.execute(query)).all()
        return [
            OperationHit(
                _line(row.shard, row.account_id, row.line_id), row.kind, row.code, row.reference, row.booked_at
            )
            for row in rows
        ]

    # -- vouchers ---

    async def _some_vouchers(self, wanted: str) -> list[VoucherHit]:
        by_serial = SERIAL.fullmatch(wanted)
        if by_serial:
            between = _batches_of(by_serial["batch"])
            return [] if between is None else await self._hits(_serial(int(by_serial["serial"]), between))
        if wanted.isascii() and wanted.isdigit() and len(wanted) <= 9:
            return await self._hits(_serial(int(wanted), None))
        with suppress(BadVoucherNumber):
            digests = self._vouchers.seal(wanted).digests
            pairs = [(shard_of(digest), digest) for digest in digests]
            return await self._hits(_HIT.where(sa.tuple_(voucher.c.shard, voucher.c.digest).in_(pairs)))
        return []

    async def _hits(self, query: sa.Select[Any]) -> list[VoucherHit]:
        async with self._reads.connect() as connection:
            rows = (await connection.execute(query.limit(MOST))).all()
            return [
                VoucherHit(row.batch_id, row.serial, row.state, row.redeemed_at, await _redeemer(connection, row))
                for row in rows
            ]


_HIT = sa.select(
    *(voucher.c[name] for name in ("batch_id", "serial", "state", "redeemed_at")),
    *(voucher.c[name] for name in ("redeemed_shard", "redeemed_account", "redeemed_key")),
)


def _serial(serial: int, between: tuple[UUID, UUID] | None) -> sa.Select[Any]:
    """Vouchers of a serial, in batches whose ids lie between two, or in the latest ones."""
    batches = sa.select(voucher_batch.c.batch_id).order_by(voucher_batch.c.created_at.desc()).limit(BATCHES)
    if between is not None:
        batches = sa.select(voucher_batch.c.batch_id).where(voucher_batch.c.batch_id.between(*between)).limit(MOST)
    chosen = batches.subquery("chosen")
    # One probe of the serials' index for each batch.
    of_batch = _HIT.where(voucher.c.batch_id == chosen.c.batch_id, voucher.c.serial == serial)
    found = of_batch.correlate(chosen).limit(1).lateral("found")
    return sa.select(found).select_from(chosen.join(found, sa.true()))


def _batches_of(begins: str) -> tuple[UUID, UUID] | None:
    """The lowest and the highest id that begin so; None for what no id begins with."""
    digits = begins.replace("-", "")
    if not 8 <= len(digits) <= 32:
        return None
    return UUID(digits.ljust(32, "0")), UUID(digits.ljust(32, "f"))


async def _redeemer(connection: Any, row: Any) -> LineRef | None:
    if row.redeemed_key is None:
        return None
    query = sa.select(operation.c.line_id).where(
        operation.c.shard == row.redeemed_shard,
        operation.c.account_id == row.redeemed_account,
        operation.c.key == row.redeemed_key,
    )
    return _line(row.redeemed_shard, row.redeemed_account, await connection.scalar(query))


def _line(shard: int, account_id: UUID, line_id: UUID | None) -> LineRef | None:
    return None if line_id is None else LineRef(shard, account_id, line_id)


def _spoken(typed: str) -> str:
    """A reference as it is stored: letters that are taken for digits are read as those (Crockford base 32)."""
    return typed.upper().translate(str.maketrans("ILO", "110"))
