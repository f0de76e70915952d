"""The SQL of staff."""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.engine import Row
from sqlalchemy.ext.asyncio import AsyncConnection

from engine.staff.rules import LOCKS
from engine.staff.tables import staff_member
from engine.words import Role, StaffMember

_SHOWN = [staff_member.c[name] for name in StaffMember.__struct_fields__]


class Try(NamedTuple):
    """What a try to sign in is compared with; ``locked_until`` where this very try brings a lock."""

    member: StaffMember
    password_hash: str
    sealed_secret: bytes
    key_id: int
    code_step: int
    locked_until: datetime | None


def _member(row: Row[Any]) -> StaffMember:
    values = {name: getattr(row, name) for name in StaffMember.__struct_fields__}
    return StaffMember(**values | {"role": Role(row.role)})


async def member(connection: AsyncConnection, staff_id: UUID) -> StaffMember | None:
    """A person by id."""
    row = (await connection.execute(sa.select(*_SHOWN).where(staff_member.c.staff_id == staff_id))).first()
    return None if row is None else _member(row)


async def named(connection: AsyncConnection, name: str) -> StaffMember | None:
    """A person by name."""
    row = (await connection.execute(sa.select(*_SHOWN).where(staff_member.c.name == name))).first()
    return None if row is None else _member(row)


_HANDS = sa.text(
    """
    WITH RECURSIVE hands(of, hand) AS (
        SELECT staff_id, staff_id FROM staff_member WHERE staff_id IN (:one, :other)
        UNION
        SELECT h.of, m.credentials_by FROM hands h JOIN staff_member m ON m.staff_id = h.hand
        WHERE m.credentials_by IS NOT NULL
    )
    SELECT EXISTS (SELECT 1 FROM hands a JOIN hands b USING (hand) WHERE a.of = :one AND b.of = :other)
    """
)


async def in_same_hands(connection: AsyncConnection, one: UUID, other: UUID) -> bool:
    """Whether one person of the staff may know the credentials of both: one of them, or who gave them to both."""
    return bool(await connection.scalar(_HANDS, {"one": one, "other": other}))


async def members(connection: AsyncConnection) -> list[StaffMember]:
    """Everybody, by name."""
    return [_member(row) for row in await connection.execute(sa.select(*_SHOWN).order_by(staff_member.c.name))]


async def insert(connection: AsyncConnection, **values: Any) -> None:
    """A new person. Raises ``IntegrityError`` where the name is taken."""
    await connection.execute(sa.insert(staff_member).values(values))


async def end_sessions(connection: AsyncConnection, staff_id: UUID, **values: Any) -> None:
    """Change a person's row, and let the sessions be over that began before."""
    changed = sa.update(staff_member).where(staff_member.c.staff_id == staff_id)
    await connection.execute(changed.values(epoch=staff_member.c.epoch + 1, **values))


_COUNT_TRY = sa.text(
    """
    UPDATE staff_member SET
        failures = failures + 1,
        locked_until = CASE WHEN (CAST(:seconds AS integer[]))[least(failures + 1, :last)] > 0
            THEN :now + make_interval(secs => (CAST(:seconds AS integer[]))[least(failures + 1, :last)]) END
    WHERE name = :name AND disabled_at IS NULL AND (locked_until IS NULL OR locked_until <= :now)
    RETURNING *
    """
).bindparams(sa.bindparam("now", type_=staff_member.c.created_at.type))


async def count_try(connection: AsyncConnection, name: str, now: datetime) -> Try | None:
    """Count a try as wrong, lock where that is due, and return what to compare with.

    None for nobody, and for who is disabled or locked. Committed before anything is compared: however many guesses
    arrive at once, each one is counted.
    """
    seconds = [int(lock.total_seconds()) for lock in LOCKS]
    row = (
        await connection.execute(_COUNT_TRY, {"name": name, "now": now, "seconds": seconds, "last": len(seconds)})
    ).first()
    if row is None:
        return None
    return Try(_member(row), row.password_hash, row.sealed_secret, row.key_id, row.code_step, row.locked_until)


async def let_in(connection: AsyncConnection, tried: Try, step: int, now: datetime, renewed: str) -> bool:
    """Use a code up and forget wrong tries, and keep the password's hash made of it now.

    False where somebody used this code, or a later one, meanwhile, or set another password.
    """
    used = (
        sa.update(staff_member)
        .where(
            staff_member.c.staff_id == tried.member.staff_id,
            staff_member.c.code_step < step,
            staff_member.c.disabled_at.is_(None),
            staff_member.c.password_hash == tried.password_hash,
        )
        .values(code_step=step, failures=0, locked_until=None, signed_in_at=now, password_hash=renewed)
    )
    return (await connection.execute(used.returning(staff_member.c.staff_id))).first() is not None
