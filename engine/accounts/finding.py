"""Finding a line by what the network calls it: one probe of the directory, shared by all who ask at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache

from sqlalchemy.ext.asyncio import AsyncEngine

from engine.accounts.rules import FIXED, MOBILE, parse_imsi, parse_msisdn
from engine.accounts.secrets import Address
from engine.accounts.tables import NumberKind, directory
from engine.storage.bulk import array
from engine.storage.steady import SteadyReads
from engine.words import BadNumber, LineRef, UnknownLine
from runtime.batching import Batcher
from runtime.keyring import Keyring
from settings import Operator

#: numbers that are looked up in one statement where many are known at once
MANY = 2_000

_FIND = """
    SELECT v.place, d.owner_shard, d.account_id, d.line_id
    FROM unnest(%(shards)s::smallint[], %(digests)s::bytea[]) WITH ORDINALITY AS v (shard, digest, place)
    JOIN directory d ON d.shard = v.shard AND d.digest = v.digest
    ORDER BY v.place"""


class Finder:
    """The directory, as the network asks it."""

    def __init__(self, database: AsyncEngine, operator: Operator, keyring: Keyring) -> None:
        """Reads on a connection of its own, opened when first needed."""
        self._country = operator.country
        self._keyring = keyring
        self._connection = SteadyReads(database)
        self._address = lru_cache(maxsize=65_536)(lambda kind, number: Address(keyring, kind, number))
        self._find = Batcher[tuple[NumberKind, str], LineRef](self._find_batch, most=250)

    async def line_of(self, identifier: str) -> LineRef:
        """The line of a ``subscriberIdentifier``: ``imsi-…`` (TS 23.003 §2.2) or ``msisdn-…`` (TS 29.571 §5.3.2).

        Raises ``BadNumber`` (also for any other form) and ``UnknownLine``.
        """
        return await self._find(self._named(identifier))

    async def lines_of(self, identifiers: Sequence[str]) -> list[LineRef | None]:
        """The lines of many identifiers, in order; None for those that are no number, or no line's."""
        found: list[LineRef | None] = [None] * len(identifiers)
        named: list[tuple[int, tuple[NumberKind, str]]] = []
        for place, identifier in enumerate(identifiers):
            with suppress(BadNumber):
                named.append((place, self._named(identifier)))
        for first in range(0, len(named), MANY):
            part = named[first : first + MANY]
            # Of so many none is remembered: who asks for them asks once, and remembers what they need.
            lines = await self._lines([Address(self._keyring, *number) for _, number in part])
            for (place, _), line in zip(part, lines, strict=True):
                found[place] = None if isinstance(line, BaseException) else line
        return found

    def _named(self, identifier: str) -> tuple[NumberKind, str]:
        kind, _, number = identifier.partition("-")
        if kind == NumberKind.IMSI:
            return NumberKind.IMSI, parse_imsi(number)
        if kind == NumberKind.MSISDN:
            return NumberKind.MSISDN, parse_msisdn(number, self._country, MOBILE | FIXED)
        raise BadNumber("malformed")

    async def close(self) -> None:
        """Answer what is waiting and give the connection back."""
        await self._find.drain()
        await self._connection.let_go()

    async def _find_batch(self, numbers: Sequence[tuple[NumberKind, str]]) -> list[LineRef | BaseException]:
        return await self._lines([self._address(*one) for one in numbers])

    async def _lines(self, addresses: Sequence[Address]) -> list[LineRef | BaseException]:
        wanted = {
            "shards": array(directory, "shard", [shard for one in addresses for shard in one.shards]),
            "digests": array(directory, "digest", [digest for one in addresses for digest in one.digests]),
        }
        found: list[LineRef | BaseException] = [UnknownLine() for _ in addresses]
        for place, *line in await self._connection.rows(_FIND, wanted):
            found[(place - 1) // len(self._keyring.ids)] = LineRef(*line)
        return found
