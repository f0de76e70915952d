"""Roots outside the database: JSON lines in one file a day, each line on the disk before the next step.

Whoever owns the database cannot change what stands here, so the folder belongs on storage that only ever appends, or
is copied away at once.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from engine.audit.rules import Root, canonical, pack, unpack

KEYS_FILE = "keys.json"


class BadLine(NamedTuple):
    """A line of an export that cannot be read."""

    file: str
    number: int
    reason: str


def root_line(root: Root) -> bytes:
    """A root as a line of an export, without the line's end."""
    return canonical(
        {
            "root": root.statement(),
            "signature": base64.b64encode(root.signature).decode(),
            "leaves": base64.b64encode(pack(root.leaves)).decode(),
        }
    )


def read_root(line: bytes) -> Root:
    """A root out of a line. Raises ``ValueError``, ``KeyError`` or ``TypeError`` if the line is none."""
    given = json.loads(line)
    said = given["root"]
    leaves = unpack(base64.b64decode(given["leaves"], validate=True))
    if said["count"] != len(leaves):
        raise ValueError(f"{said['count']} leaves announced, {len(leaves)} there")
    return Root(
        shard=int(said["shard"]),
        seq=int(said["seq"]),
        leaves=leaves,
        first=datetime.fromisoformat(said["first"]),
        last=datetime.fromisoformat(said["last"]),
        merkle_root=bytes.fromhex(said["merkle_root"]),
        prev_hash=bytes.fromhex(said["prev_hash"]),
        sealed_at=datetime.fromisoformat(said["sealed_at"]),
        key_id=int(said["key_id"]),
        signature=base64.b64decode(given["signature"], validate=True),
    )


def append(folder: Path, roots: Sequence[Root]) -> None:
    """Add roots to the files of their days and wait until they are on the disk. Raises ``OSError``.

    A line that was cut short by a crash is ended first: the roots in it come again.
    """
    folder.mkdir(parents=True, exist_ok=True)
    by_day: dict[str, list[Root]] = {}
    for root in roots:
        by_day.setdefault(f"roots-{root.sealed_at:%Y-%m-%d}.jsonl", []).append(root)
    for name, of_day in by_day.items():
        path = folder / name
        fresh = not path.exists()
        with path.open("ab+") as file:
            if not fresh and _cut_short(path):
                file.write(b"\n")
            file.writelines(root_line(root) + b"\n" for root in of_day)
            file.flush()
            os.fsync(file.fileno())
        if fresh:
            _sync(folder)


def write_keys(folder: Path, keys: Mapping[int, bytes]) -> None:
    """Keep the public keys beside the roots, those of earlier times too. Raises ``OSError``."""
    path = folder / KEYS_FILE
    known = read_keys(path) if path.exists() else {}
    if keys.items() <= known.items():
        return
    folder.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("wb") as file:
        file.write(keys_json({**known, **keys}))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    _sync(folder)


def keys_json(keys: Mapping[int, bytes]) -> bytes:
    """Public keys as a file: key id → 32 bytes of Ed25519 in hexadecimal."""
    return json.dumps({str(key_id): key.hex() for key_id, key in sorted(keys.items())}, indent=2).encode() + b"\n"


def read_keys(path: Path) -> dict[int, bytes]:
    """Public keys by id. Raises ``OSError``, and ``ValueError`` that names what is wrong."""
    try:
        given: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        return {int(key_id): bytes.fromhex(key) for key_id, key in given.items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise ValueError(f"{path} is no file of public keys: {error}") from None


def files(export: Path) -> list[Path]:
    """The files of an export: itself, or those in the folder, in order of their days. Raises ``LookupError``."""
    found = sorted(export.glob("roots-*.jsonl")) if export.is_dir() else [export] if export.is_file() else []
    if not found:
        raise LookupError(f"there is no export at {export}")
    return found


class Place(NamedTuple):
    """Where a root stands in an export."""

    path: Path
    offset: int

    def read(self) -> Root:
        """The root that stands there."""
        with self.path.open("rb") as file:
            file.seek(self.offset)
            return read_root(file.readline())


def read(export: Path) -> Iterator[tuple[Place, Root | BadLine]]:
    """All roots of an export with their places, and where they stood the lines that cannot be read."""
    for path in files(export):
        offset = 0
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                try:
                    found: Root | BadLine = read_root(line)
                except (ValueError, KeyError, TypeError) as error:
                    found = BadLine(path.name, number, f"{type(error).__name__}: {error}")
                yield Place(path, offset), found
                offset += len(line)


def _cut_short(path: Path) -> bool:
    with path.open("rb") as file:
        if file.seek(0, os.SEEK_END) == 0:
            return False
        file.seek(-1, os.SEEK_END)
        return file.read(1) != b"\n"


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
