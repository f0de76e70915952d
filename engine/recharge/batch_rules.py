"""What holds for voucher batches: how numbers are drawn and read, and which state may follow which. Pure."""

from __future__ import annotations

import secrets
from array import array
from collections.abc import Iterator

from engine.accounts.rules import plain_digits
from engine.recharge.tables import BatchState
from engine.words import BadVoucherNumber, NotPossible

#: Of all numbers with as many digits a batch takes at most one in this many, so that a guess is hopeless.
SPARSENESS = 1_000_000

#: A recalled batch never comes back; every other state can be recalled.
NEXT_STATE: dict[BatchState, frozenset[BatchState]] = {
    BatchState.CREATED: frozenset({BatchState.PRINTED, BatchState.RECALLED}),
    BatchState.PRINTED: frozenset({BatchState.SHIPPED, BatchState.RECALLED}),
    BatchState.SHIPPED: frozenset({BatchState.ACTIVE, BatchState.RECALLED}),
    BatchState.ACTIVE: frozenset({BatchState.BLOCKED, BatchState.RECALLED}),
    BatchState.BLOCKED: frozenset({BatchState.ACTIVE, BatchState.RECALLED}),
    BatchState.RECALLED: frozenset(),
}


class MoveRefused(NotPossible):
    """A voucher batch cannot take this step."""


class Numbers:
    """Freshly drawn voucher numbers, in memory only: eight bytes each, printed as ``digits`` decimal digits."""

    def __init__(self, digits: int) -> None:
        self.digits = digits
        self._values = array("Q")

    def extend(self, values: array[int]) -> None:
        """Keep what the database has accepted."""
        self._values.extend(values)

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[tuple[int, str]]:
        """Serial, from 1, and number."""
        for serial, value in enumerate(self._values, start=1):
            yield serial, f"{value:0{self.digits}d}"

    def __repr__(self) -> str:
        # Whoever logs this by accident logs no number.
        return f"<{len(self)} voucher numbers>"


def check_count(count: int, digits: int) -> None:
    """Raise ``ValueError`` unless ``count`` numbers of ``digits`` digits are too sparse to guess."""
    most = 10**digits // SPARSENESS
    if not 1 <= count <= most:
        raise ValueError(f"a batch of {digits}-digit numbers holds 1 to {most} vouchers, not {count}")


def draw(count: int, digits: int) -> array[int]:
    """``count`` numbers from the system's random source, each of all ``10 ** digits`` equally likely."""
    limit = 10**digits
    return array("Q", (secrets.randbelow(limit) for _ in range(count)))


def read_number(typed: str, digits: int) -> str:
    """A typed voucher number as ASCII digits; spaces and dashes dropped, digits of any script read.

    Raises ``BadVoucherNumber``: ``digits`` (something else is in it) or ``length``.
    """
    number = plain_digits(typed.strip())
    if number and not number.isdecimal():
        raise BadVoucherNumber("digits")
    if len(number) != digits:
        raise BadVoucherNumber("length")
    return number


def check_move(now: BatchState, wanted: BatchState, *, created_by: str, by: str) -> None:
    """Raise ``MoveRefused`` unless the life cycle leads there and, to go on sale, a second person says so."""
    if wanted not in NEXT_STATE[now]:
        onward = " or ".join(state for state in BatchState if state in NEXT_STATE[now])
        said = f"a {now} batch cannot become {wanted}; " + (f"only {onward}" if onward else "it is over")
        raise MoveRefused(said, "batch_step", state=now, to=wanted)
    if wanted is BatchState.ACTIVE and by.strip().casefold() == created_by.strip().casefold():
        raise MoveRefused(f"{by} made this batch: someone else has to activate it", "batch_own")
