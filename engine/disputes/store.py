"""The SQL of disputes: finding what is disputed, gathering what every layer knows of it, keeping the case."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.audit.rules import plain
from engine.audit.tables import staff_action
from engine.books.databases import Books
from engine.books.sheets import Book
from engine.books.tables import operation, outbox, transfer
from engine.disputes.tables import dispute, dispute_evidence
from engine.notices.tables import delivery
from engine.payments.tables import gateway_event, payment, payment_event, payment_history, receipt
from engine.receivables.tables import receivable
from engine.words import AccountRef, settle_key

#: what stays out of evidence: sealed, or of no use to a person
_HIDDEN = frozenset({"sealed_payer", "payload_hash", "request_hash"})

#: of one layer not more than this: a case is read by people
MOST = 500


class Disputed(NamedTuple):
    """What a case is about."""

    account: AccountRef
    operation_key: UUID | None
    payment_id: UUID | None


class Evidence(NamedTuple):
    """One thing that one layer knows."""

    layer: str
    body: dict[str, Any]


async def find_payments(connection: AsyncConnection, reference: str, account: AccountRef | None) -> list[Disputed]:
    """Payments of a reference, or of an id. Without an account this reads the whole table."""
    try:
        chosen: sa.ColumnElement[bool] = payment.c.payment_id == UUID(reference)
    except ValueError:
        chosen = payment.c.reference == reference.upper()
    query = sa.select(payment.c.shard, payment.c.account_id, payment.c.payment_id).where(chosen).limit(2)
    if account is not None:
        query = query.where(payment.c.shard == account.shard, payment.c.account_id == account.account_id)
    found = []
    for row in await connection.execute(query):
        ref = AccountRef(row.shard, row.account_id)
        found.append(Disputed(ref, await _settled_by(connection, ref, row.payment_id), row.payment_id))
    return found


async def _settled_by(connection: AsyncConnection, account: AccountRef, payment_id: UUID) -> UUID | None:
    own = (*_of(operation, account), operation.c.key == settle_key(payment_id), operation.c.code == "ok")
    query = sa.select(operation.c.key).where(*own)
    return (await connection.execute(query)).scalar_one_or_none()


async def payment_of(connection: AsyncConnection, account: AccountRef, key: UUID) -> UUID | None:
    """The payment that an operation settled."""
    query = sa.select(operation.c.answer["details"]["payment_id"].astext).where(
        *_of(operation, account), operation.c.key == key
    )
    found = (await connection.execute(query)).scalar_one_or_none()
    return None if found is None else UUID(found)


async def gather(books: Books, disputed: Disputed) -> list[Evidence]:
    """What every layer knows now: the hop that asked, the operation, the gateway, receipts, messages, staff."""
    account, key, payment_id = disputed
    found: list[Evidence] = []
    async with books.billing.connect() as connection:
        if key is not None:
            found += await _read(connection, "operation", operation, *_of(operation, account), operation.c.key == key)
            reversed_by = (*_of(operation, account), operation.c.reverses == key)
            found += await _read(connection, "operation", operation, *reversed_by)
            found += await _read(connection, "transfer", transfer, *_of(transfer, account), transfer.c.key == key)
            found += await _read(connection, "receipt", receipt, *_of(receipt, account), receipt.c.key == key)
            found += await _messages(connection, account, key)
        if payment_id is not None:
            found += await _read(
                connection, "payment", payment, *_of(payment, account), payment.c.payment_id == payment_id
            )
            events = (*_of(payment_event, account), payment_event.c.payment_id == payment_id)
            found += await _read(connection, "gateway", payment_event, *events)
            found += await _callbacks(connection, account, payment_id)
        found += await _read(connection, "staff", staff_action, *_of(staff_action, account))
    found += [Evidence("hop", _hop(one.body)) for one in found if one.layer == "operation"]
    if payment_id is not None:
        for book, layer, table, column in (
            (Book.HISTORY, "history", payment_history, payment_history.c.payment_id),
            (Book.RECEIVABLES, "receivable", receivable, receivable.c.document_id),
        ):
            async with books[book].connect() as connection:
                found += await _read(connection, layer, table, *_of(table, account), column == payment_id)
    return found


def _hop(said: dict[str, Any]) -> dict[str, Any]:
    """Where the person asked: gateway and channel, the derived key that stands for the very hop, and when."""
    return {name: said[name] for name in ("source", "key", "line_id", "booked_at")}


async def _messages(connection: AsyncConnection, account: AccountRef, key: UUID) -> list[Evidence]:
    told = (outbox.c.shard == account.shard, outbox.c.account_id == account.account_id, outbox.c.operation_key == key)
    messages = await _read(connection, "message", outbox, *told)
    ids = [UUID(one.body["message_id"]) for one in messages]
    return messages + await _read(
        connection, "delivery", delivery, delivery.c.shard == account.shard, delivery.c.message_id.in_(ids)
    )


async def _callbacks(connection: AsyncConnection, account: AccountRef, payment_id: UUID) -> list[Evidence]:
    """What the provider called to say under the provider's own name of the payment, from a day before it on."""
    ref = sa.select(payment.c.gateway, payment.c.gateway_ref, payment.c.created_at).where(
        *_of(payment, account), payment.c.payment_id == payment_id
    )
    row = (await connection.execute(ref)).first()
    if row is None or row.gateway_ref is None:
        return []
    said = gateway_event.c
    return await _read(
        connection,
        "callback",
        gateway_event,
        said.received_at > row.created_at - timedelta(days=1),
        said.gateway == row.gateway,
        said.body["outcome"]["gateway_ref"].astext == row.gateway_ref,
    )


async def _read(
    connection: AsyncConnection, layer: str, table: sa.Table, *chosen: sa.ColumnElement[bool]
) -> list[Evidence]:
    columns = [column for column in table.columns if column.name not in _HIDDEN]
    rows = (await connection.execute(sa.select(*columns).where(*chosen).limit(MOST))).mappings()
    return [Evidence(layer, {name: plain(value) for name, value in row.items()}) for row in rows]


def _of(table: sa.Table, account: AccountRef) -> tuple[sa.ColumnElement[bool], ...]:
    return table.c.shard == account.shard, table.c.account_id == account.account_id


# -- the case ---------------------------------------------------------------------------------------------------------


async def insert_case(connection: AsyncConnection, case: dict[str, Any], evidence: Sequence[dict[str, Any]]) -> bool:
    """A new case with what is known of it. False if there is one of that id: then nothing is changed."""
    made = await connection.execute(insert(dispute).values(case).on_conflict_do_nothing())
    if made.rowcount and evidence:
        await connection.execute(sa.insert(dispute_evidence), evidence)
    return bool(made.rowcount)


async def find_case(connection: AsyncConnection, number: str, *, lock: bool = False) -> RowMapping | None:
    """The case of a number or an id."""
    try:
        chosen: sa.ColumnElement[bool] = dispute.c.case_id == UUID(number)
    except ValueError:
        chosen = dispute.c.number == number.strip().upper()
    query = sa.select(dispute).where(chosen)
    return (await connection.execute(query.with_for_update() if lock else query)).mappings().first()


async def update_case(connection: AsyncConnection, case_id: UUID, account: AccountRef, **values: Any) -> None:
    """Change a case."""
    chosen = (*_of(dispute, account), dispute.c.case_id == case_id)
    await connection.execute(sa.update(dispute).where(*chosen).values(values))


async def cases(
    connection: AsyncConnection, *, resolved: bool, limit: int, after: tuple[datetime, UUID] | None = None
) -> Sequence[RowMapping]:
    """Cases by their deadline, from ``after`` on (deadline and id); those that are resolved too if asked for."""
    order = (dispute.c.deadline, dispute.c.case_id)
    query = sa.select(dispute).order_by(*order).limit(limit)
    if after is not None:
        query = query.where(sa.tuple_(*order) > sa.tuple_(*after))
    if not resolved:
        query = query.where(dispute.c.state != "resolved")
    return (await connection.execute(query)).mappings().all()


async def evidence_of(connection: AsyncConnection, case_id: UUID, account: AccountRef) -> list[Evidence]:
    """What was gathered, layer by layer, in the order in which it was gathered."""
    query = (
        sa.select(dispute_evidence.c.layer, dispute_evidence.c.body)
        .where(*_of(dispute_evidence, account), dispute_evidence.c.case_id == case_id)
        .order_by(dispute_evidence.c.evidence_id)
    )
    return [Evidence(row.layer, row.body) for row in await connection.execute(query)]
