"""The printer's file: serials and voucher numbers as CSV, encrypted with age (https://age-encryption.org/v1)."""

from __future__ import annotations

import io
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyrage  # type: ignore[import-untyped]

from commands.installation import major_units
from engine.recharge.batches import Batch


class Recipient(NamedTuple):
    """Who can read the file: the holder of a key, or of a passphrase. Exactly one of both is set."""

    key: Any = None
    passphrase: str = ""


def read_recipient(key: str | None, passphrase_file: Path | None) -> Recipient:
    """Who is to read the file. Raises ``ValueError`` and ``OSError``."""
    if (key is None) == (passphrase_file is None):
        raise ValueError("give either --recipient or --passphrase-file")
    if key is not None:
        try:
            return Recipient(key=pyrage.x25519.Recipient.from_str(key))
        except pyrage.RecipientError:
            raise ValueError("--recipient is no age public key (age1…)") from None
    assert passphrase_file is not None  # noqa: S101 - the first check leaves no other case
    passphrase = passphrase_file.read_text(encoding="utf-8").strip()
    if len(passphrase) < 12:
        raise ValueError("the passphrase needs 12 characters at least")
    return Recipient(passphrase=passphrase)


def write_export(path: Path, recipient: Recipient, batch: Batch, numbers: Iterable[tuple[int, str]]) -> None:
    """Write the file, for its owner's eyes only. No number touches the disk in the clear.

    For a key the lines are encrypted as they are made; for a passphrase the library wants all of them at once.
    """
    lines = csv_lines(batch, numbers)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        if recipient.key is not None:
            pyrage.encrypt_io(_Lines(lines), file, [recipient.key])
        else:
            file.write(pyrage.passphrase.encrypt(b"".join(lines), recipient.passphrase))
        file.flush()
        os.fsync(file.fileno())


def csv_lines(batch: Batch, numbers: Iterable[tuple[int, str]]) -> Iterator[bytes]:
    """The file's lines (RFC 4180): a heading, then one line for each voucher. No field needs quotes."""
    yield b"batch,serial,number,face_value,expires\r\n"
    value = major_units(batch.face_value, batch.currency).replace(",", "")
    for serial, number in numbers:
        yield f"{batch.batch_id},{serial},{number},{value},{batch.expires_at:%Y-%m-%d}\r\n".encode()


class _Lines(io.RawIOBase):
    """Lines as a file to read from, a piece at a time."""

    def __init__(self, lines: Iterator[bytes]) -> None:
        self._lines = lines
        self._rest = bytearray()

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As many bytes as fit; 0 at the end."""
        view = memoryview(buffer)
        while len(self._rest) < len(view):
            line = next(self._lines, None)
            if line is None:
                break
            self._rest += line
        size = min(len(view), len(self._rest))
        view[:size] = self._rest[:size]
        del self._rest[:size]
        return size
