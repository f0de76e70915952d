"""Lines of a usage file on their way into the database: normalised, their lines found, what is wrong set aside."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

import msgspec

from engine.accounts.finding import Finder
from engine.mediation.rules import RowRefused, too_late, usage_row
from engine.mediation.store import Block
from engine.words import SetAsideReason, UsageRow
from engine.words.sessions import session_hex
from runtime.keyring import Keyring
from settings import Operator

_PURPOSE = "usage-set-aside"
#: bytes that say which master key sealed
_KEY_ID = 2
#: Numbers that are remembered with their lines; after that they are looked up anew. About 40 MB.
MOST_KNOWN = 150_000


class Line(NamedTuple):
    """One line of a file: its number, from 1, and its fields, or what is wrong with it."""

    number: int
    fields: Mapping[str, Any]
    broken: str = ""


class Sealer:
    """Hides lines that were set aside: they name people."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def seal(self, fields: Mapping[str, Any], file_id: UUID, line: int) -> bytes:
        """Seal a line for its place: key id, nonce, AES-256-GCM."""
        body = self._keyring.seal(_PURPOSE, msgspec.json.encode(fields), _bound(file_id, line))
        return self._keyring.current.to_bytes(_KEY_ID) + body

    def unseal(self, sealed: bytes, file_id: UUID, line: int) -> dict[str, Any]:
        """What was sealed. Raises ``KeyError`` where its key is gone, ``InvalidTag`` where it was tampered with."""
        key_id, body = int.from_bytes(sealed[:_KEY_ID]), sealed[_KEY_ID:]
        plain = self._keyring.unseal(_PURPOSE, body, _bound(file_id, line), key_id)
        return msgspec.json.decode(plain, type=dict[str, Any])


def _bound(file_id: UUID, line: int) -> bytes:
    return file_id.bytes + line.to_bytes(8)


class Parsed(NamedTuple):
    """Lines as they were read: those that say something, and those that do not."""

    lines: Sequence[Line]
    rows: list[tuple[Line, UsageRow]]
    refused: list[tuple[Line, str, str]]


def parse(lines: Sequence[Line], operator: Operator, now: datetime, interface: str) -> Parsed:
    """Normalise lines. Pure, so it may run in a thread while the database works."""
    rows: list[tuple[Line, UsageRow]] = []
    refused: list[tuple[Line, str, str]] = []
    for line in lines:
        if line.broken:
            refused.append((line, SetAsideReason.MALFORMED, line.broken))
            continue
        try:
            row = usage_row(line.fields, operator, now)
        except RowRefused as refusal:
            refused.append((line, *refusal.args))
            continue
        if too_late(row, interface, now):
            refused.append((line, SetAsideReason.TOO_LATE, "end: too long ago to be compared with what was charged"))
        else:
            rows.append((line, row))
    return Parsed(lines, rows, refused)


class Staging:
    """Makes blocks of what was parsed."""

    def __init__(self, finder: Finder, sealer: Sealer) -> None:
        self._finder = finder
        self._sealer = sealer
        #: number → its line as COPY takes it: shard, account, line
        self._known: dict[str, str] = {}

    async def block(self, parsed: Parsed, file_id: UUID, interface: str) -> Block:
        """Parsed lines as COPY takes them; those that name no line of ours are set aside."""
        await self._find({row.subject for _, row in parsed.rows})
        return await asyncio.to_thread(self._written, parsed, file_id, interface)

    def _written(self, parsed: Parsed, file_id: UUID, interface: str) -> Block:
        refused = list(parsed.refused)
        texts: list[str] = []
        for line, row in parsed.rows:
            found = self._known.get(row.subject)
            if found is None:
                refused.append((line, SetAsideReason.UNKNOWN_LINE, "msisdn or imsi: no line has it"))
                continue
            texts.append(
                f"{found}\t{session_hex(interface, row.session)}\t"
                f"{row.rating_group}\t{row.started_at.isoformat()}\t{row.ended_at.isoformat()}\t"
                f"{row.unit.value}\t{row.uplink}\t{row.downlink}\t{row.amount}\t{line.number}\n"
            )
        sealed = [
            (line.number, str(reason), detail, self._sealer.seal(line.fields, file_id, line.number))
            for line, reason, detail in refused
        ]
        return Block("".join(texts).encode(), len(texts), sealed, {line.number: line.fields for line in parsed.lines})

    async def _find(self, subjects: set[str]) -> None:
        if len(self._known) > MOST_KNOWN:
            self._known.clear()
        unknown = [one for one in subjects if one not in self._known]
        found = await self._finder.lines_of(unknown)
        self._known |= {
            subject: f"{line.shard}\t{line.account_id.hex}\t{line.line_id.hex}"
            for subject, line in zip(unknown, found, strict=True)
            if line is not None
        }
