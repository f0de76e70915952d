"""The life of voucher batches: made, printed, shipped, put on sale by a second person, blocked, recalled."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import msgspec
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from engine.recharge import batch_store as store
from engine.recharge.batch_rules import MoveRefused, Numbers, check_count, check_move, draw, read_number
from engine.recharge.tables import BatchState, VoucherState
from engine.storage.sharding import new_id, shard_of
from engine.words import NotThere, VoucherToken
from runtime.keyring import Keyring
from settings import Operator

log = structlog.get_logger(__name__)

#: Vouchers of one COPY: a collision draws this many anew.
CHUNK = 10_000
SHELF_LIFE = timedelta(days=730)
PURPOSE = "voucher"


class Batch(msgspec.Struct, frozen=True, kw_only=True):
    """A voucher batch with its counts. ``face_value`` is in minor units of ``currency``."""

    batch_id: UUID
    state: BatchState
    face_value: int
    currency: str
    validity_days: int
    count: int
    redeemed: int
    blocked: int
    expires_at: datetime
    created_by: str
    created_at: datetime
    activated_by: str | None
    activated_at: datetime | None


class BatchMade(msgspec.Struct, frozen=True):
    """A voucher batch without its counts: to count a batch costs as much as it is big."""

    batch_id: UUID
    state: BatchState
    face_value: int
    currency: str
    count: int
    expires_at: datetime
    created_by: str
    created_at: datetime


class Voucher(msgspec.Struct, frozen=True, kw_only=True):
    """One voucher as staff sees it: never its number."""

    batch_id: UUID
    serial: int
    state: VoucherState
    redeemed_at: datetime | None


class VoucherBatches:
    """The voucher batches of one operator."""

    def __init__(self, database: AsyncEngine, operator: Operator, keyring: Keyring) -> None:
        self._database = database
        self._operator = operator
        self._keyring = keyring
        self._rules = operator.vouchers

    def seal(self, number: str) -> VoucherToken:
        """A typed voucher number as a token; spaces and dashes are ignored. Raises ``BadVoucherNumber``."""
        digits = read_number(number, self._rules.digits)
        return VoucherToken(tuple(self._digest(digits, key_id) for key_id in self._keyring.ids), digits[-4:])

    async def create_batch(
        self,
        face_value: int,
        count: int,
        created_by: str,
        *,
        expires_at: datetime | None = None,
        progress: Callable[[int], None] | None = None,
    ) -> tuple[Batch, Numbers]:
        """Make a batch of ``count`` vouchers worth ``face_value`` minor units each, two years of shelf life by default.

        All in one transaction; ``progress`` hears how many more vouchers are stored. The numbers are in what is
        returned and nowhere else: if they are lost, recall the batch. Raises ``ValueError`` for values that cannot be.
        """
        created_at = datetime.now(UTC)
        expires_at = expires_at or created_at + SHELF_LIFE
        check_count(count, self._rules.digits)
        if face_value <= 0:
            raise ValueError("the face value must be above 0")
        if expires_at <= created_at:
            raise ValueError("the expiry is in the past")
        if not created_by.strip():
            raise ValueError("who makes the batch must be named")
        batch_id = new_id()
        numbers = Numbers(self._rules.digits)
        async with self._database.begin() as connection:
            await store.insert_batch(
                connection,
                batch_id=batch_id,
                face_value=face_value,
                currency=self._operator.currency,
                validity_days=self._rules.validity_days,
                count=count,
                key_id=self._keyring.current,
                expires_at=expires_at,
                created_by=created_by.strip(),
                created_at=created_at,
            )
            while len(numbers) < count:
                values = draw(min(CHUNK, count - len(numbers)), self._rules.digits)
                if await self._insert(connection, batch_id, values, first_serial=len(numbers) + 1):
                    numbers.extend(values)
                    if progress is not None:
                        progress(len(values))
            (row,) = await store.batches(connection, batch_id)
        log.info("voucher_batch_created", batch_id=str(batch_id), count=count, by=created_by)
        return _batch(row), numbers

    async def move_batch(self, batch_id: UUID, to_state: BatchState, by: str) -> Batch:
        """Take a batch to another state. Raises ``MoveRefused``, and ``LookupError`` for an unknown batch."""
        if not by.strip():
            raise ValueError("who moves the batch must be named")
        async with self._database.begin() as connection:
            before = await store.lock_batch(connection, batch_id)
            if before is None:
                raise NotThere(f"no voucher batch {batch_id}", "batch_unknown")
            check_move(BatchState(before.state), to_state, created_by=before.created_by, by=by)
            values: dict[str, Any] = {"state": to_state.value}
            if to_state is BatchState.ACTIVE:
                values |= {"activated_by": by.strip(), "activated_at": datetime.now(UTC)}
            await store.update_batch(connection, batch_id, **values)
            (row,) = await store.batches(connection, batch_id)
        log.info("voucher_batch_moved", batch_id=str(batch_id), before=before.state, after=to_state.value, by=by)
        return _batch(row)

    def moves(self, batch: Batch, by: str) -> list[BatchState]:
        """The states that somebody may take a batch to."""
        found = []
        for state in BatchState:
            try:
                check_move(batch.state, state, created_by=batch.created_by, by=by)
            except MoveRefused:
                continue
            found.append(state)
        return found

    async def block_voucher(self, batch_id: UUID, serials: Sequence[int], by: str) -> list[int]:
        """Block single vouchers, lost or stolen ones; returns the serials that were unused and are blocked now."""
        async with self._database.begin() as connection:
            blocked = sorted(await store.block_serials(connection, batch_id, serials))
        log.info("vouchers_blocked", batch_id=str(batch_id), count=len(blocked), asked=len(serials), by=by)
        return blocked

    async def list_batches(self) -> list[Batch]:
        """All batches with their counts, the newest first."""
        async with self._database.connect() as connection:
            return [_batch(row) for row in await store.batches(connection)]

    async def page(
        self, state: BatchState | None = None, *, after: tuple[datetime, UUID] | None = None, limit: int = 50
    ) -> list[BatchMade]:
        """Batches, the newest first; ``after`` is when the last one seen was made, and its id."""
        async with self._database.connect() as connection:
            rows = await store.page(connection, None if state is None else state.value, after, limit)
        return [BatchMade(row[0], BatchState(row[1]), *row[2:]) for row in rows]

    async def by_state(self) -> dict[BatchState, tuple[int, int]]:
        """How many batches are in each state, and how many vouchers these were made with."""
        async with self._database.connect() as connection:
            return {BatchState(row[0]): (row[1], int(row[2])) for row in await store.by_state(connection)}

    async def batch(self, batch_id: UUID) -> Batch:
        """One batch with its counts. Raises ``LookupError``."""
        async with self._database.connect() as connection:
            rows = await store.batches(connection, batch_id)
        if not rows:
            raise NotThere(f"no voucher batch {batch_id}", "batch_unknown")
        return _batch(rows[0])

    async def find_serial(self, batch_id: UUID, serial: int) -> Voucher:
        """The voucher with this printed serial. Raises ``LookupError``."""
        async with self._database.connect() as connection:
            row = await store.find_serial(connection, batch_id, serial)
        if row is None:
            raise NotThere(f"no voucher {serial} in batch {batch_id}", "serial_unknown", serial=serial)
        return Voucher(**{**row._asdict(), "state": VoucherState(row.state)})

    async def find_number(self, number: str) -> Voucher:
        """The voucher with this number, for someone at the counter. Raises ``BadVoucherNumber``, ``LookupError``."""
        token = self.seal(number)
        async with self._database.connect() as connection:
            row = await store.find_voucher(connection, [shard_of(digest) for digest in token.digests], token.digests)
        if row is None:
            raise LookupError("no voucher has this number")
        return Voucher(**{**row._asdict(), "state": VoucherState(row.state)})

    def _digest(self, number: str, key_id: int) -> bytes:
        return self._keyring.digest(PURPOSE, number.encode(), key_id)

    async def _insert(
        self, connection: AsyncConnection, batch_id: UUID, values: array[int], *, first_serial: int
    ) -> bool:
        """Store one chunk; False if one of its numbers is a voucher already, under whichever key."""
        numbers = [f"{value:0{self._rules.digits}d}" for value in values]
        for key_id in self._keyring.ids:
            if key_id != self._keyring.current:
                older = [self._digest(number, key_id) for number in numbers]
                if await store.any_known(connection, [shard_of(digest) for digest in older], older):
                    return False
        digests = (self._digest(number, self._keyring.current) for number in numbers)
        rows = ((shard_of(digest), digest, serial) for serial, digest in enumerate(digests, start=first_serial))
        return await store.copy_vouchers(connection, batch_id, rows)


def _batch(row: Any) -> Batch:
    values = row._asdict()
    return Batch(**{name: values[name] for name in Batch.__struct_fields__} | {"state": BatchState(row.state)})
