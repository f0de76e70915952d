"""A settlement file on its way into the database: read line by line, sent by COPY in blocks, whatever its size."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from typing import NamedTuple

from engine.recharge.gateways.contract import BadRow, PaymentGateway, SettlementRow
from runtime.keyring import Keyring

#: rows that travel at a time
BLOCK = 2_000
#: broken lines that are kept by number and reason; further ones are counted
MOST_BROKEN = 1_000
_PURPOSE = "settlement-account"
#: bytes that say which master key sealed
_KEY_ID = 2
NULL = "\\N"

#: What would end a column or a row of COPY's text format (PostgreSQL manual, COPY).
_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class Block(NamedTuple):
    """Some rows of a file in COPY's text format, with how many lines they took, and those that are broken."""

    text: bytes
    rows: int
    lines: int
    broken: list[BadRow]


class Statement:
    """A file while it is read. ``digest`` tells it from others once it is read to its end."""

    def __init__(self, gateway: PaymentGateway, lines: Iterable[str], seal: Callable[[str, str], bytes]) -> None:
        """``seal`` hides what a payer typed as the account, bound to the reference."""
        self._gateway = gateway
        self._lines = lines
        self._seal = seal
        self._hash = hashlib.sha256()
        self._read = 0
        self.rows = 0
        self.broken = 0
        self.broken_lines: list[BadRow] = []

    @property
    def digest(self) -> bytes:
        """SHA-256 of what was read."""
        return self._hash.digest()

    def blocks(self) -> Iterator[Block]:
        """The file, block by block."""
        texts: list[str] = []
        broken: list[BadRow] = []
        before = 0
        for row in self._gateway.read_settlement(self._counted()):
            if isinstance(row, BadRow):
                broken.append(row)
            else:
                texts.append(self._text(row))
            if len(texts) + len(broken) >= BLOCK:
                yield self._block(texts, broken, self._read - before)
                before, texts, broken = self._read, [], []
        yield self._block(texts, broken, self._read - before)

    def _block(self, texts: list[str], broken: list[BadRow], lines: int) -> Block:
        self.rows += len(texts)
        self.broken += len(broken)
        self.broken_lines += broken[: MOST_BROKEN - len(self.broken_lines)]
        return Block("".join(texts).encode(), len(texts), lines, broken)

    def _counted(self) -> Iterator[str]:
        for line in self._lines:
            self._hash.update(line.encode(errors="replace"))
            self._read += 1
            yield line

    def _text(self, row: SettlementRow) -> str:
        sealed = NULL
        if row.account_number is not None and row.amount > 0:
            sealed = "\\\\x" + self._seal(row.account_number, row.gateway_ref).hex()
        return (
            f"{row.gateway_ref.translate(_ESCAPES)}\t{row.payment_id or NULL}\t{row.state.value}\t{row.amount}\t"
            f"{row.currency}\t{row.fee}\t{row.at.isoformat()}\t{sealed}\n"
        )


class Sealer:
    """Hides what payers typed as the account: it is often a number."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def seal(self, account_number: str, gateway_ref: str) -> bytes:
        """Seal it for one reference: key id, nonce, AES-256-GCM."""
        sealed = self._keyring.seal(_PURPOSE, account_number.encode(), gateway_ref.encode())
        return self._keyring.current.to_bytes(_KEY_ID) + sealed

    def unseal(self, sealed: bytes, gateway_ref: str) -> str:
        """What was sealed. Raises ``KeyError`` where its key is gone, ``InvalidTag`` where it was tampered with."""
        key_id, body = int.from_bytes(sealed[:_KEY_ID]), sealed[_KEY_ID:]
        return self._keyring.unseal(_PURPOSE, body, gateway_ref.encode(), key_id).decode()


class Run(NamedTuple):
    """What a run over a statement came to."""

    gateway: str
    source: str
    first_day: date
    last_day: date
    rows: int
    broken: int
    broken_lines: list[BadRow]
    #: discrepancies that it saw, the resolved ones too
    found: int
    #: payments that it had credited
    credited: int = 0
    #: payments of which the gateway gave no word
    unanswered: int = 0
