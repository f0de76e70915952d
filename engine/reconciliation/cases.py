"""The SQL of discrepancies as people work with them: finding, giving to somebody, ending."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.recharge.gateways.contract import GatewayState
from engine.reconciliation.tables import (
    Kind,
    Resolution,
    State,
    discrepancy,
    discrepancy_change,
    settlement_row,
)
from engine.storage.sharding import new_id
from engine.words import AccountRef, NotThere

#: characters of an id that name it
LEAST = 6


class Discrepancy(msgspec.Struct, frozen=True, kw_only=True):
    """One thing in which statement and books differ. Amounts are minor units, below 0 what was given back."""

    discrepancy_id: UUID
    gateway: str
    day: date
    kind: Kind
    reason: str
    name: str
    account: AccountRef | None
    payment_id: UUID | None
    stated: int
    stated_currency: str | None
    stated_at: datetime | None
    booked: int
    booked_currency: str | None
    booked_at: datetime | None
    exact: bool
    live: bool
    state: State
    owner: str | None
    resolution: Resolution | None
    found_at: datetime
    changed_at: datetime
    sealed_account: bytes | None = None

    @property
    def number(self) -> str:
        """What people quote."""
        return self.discrepancy_id.hex[:8]


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """What was done with a discrepancy."""

    what: str
    by: str
    why: str
    at: datetime


async def stated_back(connection: AsyncConnection, gateway: str, gateway_ref: str) -> tuple[int, int]:
    """How much a gateway has stated, in whatever file, as gone back of what it calls so, and as won back: minor units.

    What is won back was taken by a bank before.
    """
    row = settlement_row.c
    back = sa.func.coalesce(-sa.func.sum(row.amount).filter(row.amount < 0), 0)
    won = sa.func.coalesce(sa.func.sum(row.amount).filter(row.state == GatewayState.REINSTATED), 0)
    query = sa.select(back, won).where(row.gateway == gateway, row.gateway_ref == gateway_ref)
    stated = (await connection.execute(query)).one()
    return int(stated[0]), int(stated[1])


class Selection(msgspec.Struct, frozen=True, kw_only=True):
    """Which discrepancies are meant; None leaves it open."""

    gateway: str | None = None
    first: date | None = None
    last: date | None = None
    #: what is resolved too
    resolved: bool = False
    #: only those whose credit, and nothing else, is missing, and that nobody has decided about
    creditable: bool = False

    def conditions(self) -> list[sa.ColumnElement[bool]]:
        """As the statement asks for them."""
        one = discrepancy.c
        asked: list[sa.ColumnElement[bool]] = []
        asked += [one.gateway == self.gateway] if self.gateway is not None else []
        asked += [one.day >= self.first] if self.first is not None else []
        asked += [one.day <= self.last] if self.last is not None else []
        asked += [] if self.resolved else [one.state != State.RESOLVED]
        asked += [one.live, one.exact, one.state == State.OPEN] if self.creditable else []
        return asked


async def find(
    connection: AsyncConnection, wanted: Selection, *, after: Discrepancy | None = None, limit: int
) -> list[Discrepancy]:
    """Discrepancies by day and name; ``after`` is the last one of the page before."""
    one = discrepancy.c
    order = (one.day, one.name, one.discrepancy_id)
    query = sa.select(discrepancy).where(*wanted.conditions()).order_by(*order).limit(limit)
    if after is not None:
        query = query.where(sa.tuple_(*order) > sa.tuple_(after.day, after.name, after.discrepancy_id))
    return [_discrepancy(row) for row in (await connection.execute(query)).mappings()]


async def one(connection: AsyncConnection, which: str, *, lock: bool = False) -> Discrepancy:
    """The discrepancy whose id begins so. Raises ``LookupError`` if none does, or several do."""
    begins = which.strip().lower().replace("-", "")
    if not LEAST <= len(begins) <= 32 or not set(begins) <= set("0123456789abcdef"):
        said = f"no discrepancy {which[:40]!r}: at least {LEAST} hexadecimal digits of its id are meant"
        raise NotThere(said, "discrepancy_unknown")
    low, high = UUID(begins.ljust(32, "0")), UUID(begins.ljust(32, "f"))
    query = sa.select(discrepancy).where(discrepancy.c.discrepancy_id.between(low, high)).limit(2)
    rows = (await connection.execute(query.with_for_update() if lock else query)).mappings().all()
    if len(rows) != 1:
        said = f"{'several discrepancies begin' if rows else 'no discrepancy begins'} with {begins}"
        raise NotThere(said, "discrepancy_unknown")
    return _discrepancy(rows[0])


def _discrepancy(row: RowMapping) -> Discrepancy:
    values: dict[str, Any] = {name: row[name] for name in Discrepancy.__struct_fields__ if name != "account"}
    values |= {"kind": Kind(row["kind"]), "state": State(row["state"])}
    values["resolution"] = None if row["resolution"] is None else Resolution(row["resolution"])
    account = None if row["account_id"] is None else AccountRef(row["shard"], row["account_id"])
    return Discrepancy(**values, account=account)


async def change(
    connection: AsyncConnection,
    before: Discrepancy,
    state: State,
    *,
    owner: str | None,
    resolution: Resolution | None,
    **more: Any,
) -> Discrepancy:
    """Let a discrepancy come to a state. Returns it as it then stands."""
    query = (
        sa.update(discrepancy)
        .where(discrepancy.c.discrepancy_id == before.discrepancy_id)
        .values(state=state, owner=owner, resolution=resolution, changed_at=datetime.now(UTC), **more)
        .returning(discrepancy)
    )
    return _discrepancy((await connection.execute(query)).mappings().one())


async def note(connection: AsyncConnection, discrepancy_id: UUID, what: str, *, by: str, why: str) -> None:
    """Write down what was done."""
    row = {
        "discrepancy_id": discrepancy_id,
        "change_id": new_id(),
        "what": what,
        "by": by.strip(),
        "why": why.strip(),
        "at": datetime.now(UTC),
    }
    await connection.execute(sa.insert(discrepancy_change).values(row))


async def changes(connection: AsyncConnection, discrepancy_id: UUID) -> list[Change]:
    """All that was done with a discrepancy, in order."""
    row = discrepancy_change.c
    query = sa.select(row.what, row.by, row.why, row.at).where(row.discrepancy_id == discrepancy_id)
    found = await connection.execute(query.order_by(row.at, row.change_id))
    return [Change(what=what, by=by, why=why, at=at) for what, by, why, at in found]
