"""Reading files of usage records line by line, whatever their size. Knows formats, not what records mean."""

from __future__ import annotations

import csv
import gzip
import hashlib
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Any

import msgspec

from engine.api import Opened

#: what a file's name ends with, without ``.gz``
ENDINGS = (".csv", ".jsonl", ".ndjson")
#: A line that is longer is no record.
LONGEST_LINE = 65_536
_CHUNK = 1 << 20
_OBJECT = msgspec.json.Decoder(dict[str, Any])


class UnreadableFile(Exception):
    """This is no file of usage records. ``args[0]`` says why."""


def open_usage(path: Path, source: str, interface: str, columns: Mapping[str, str] | None = None) -> Opened:
    """A file, ready to be imported. ``columns`` says field → what this collection point calls it.

    Raises ``UnreadableFile`` for a name that tells no format, and ``OSError``.
    """
    format_of(path)
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").digest()
    known = dict(columns or {})
    return Opened(digest, path.name, source, interface, lambda skip: lines(path, known, skip))


def format_of(path: Path) -> str:
    """``.csv``, ``.jsonl`` or ``.ndjson``. Raises ``UnreadableFile``."""
    name = path.name.lower().removesuffix(".gz")
    ending = next((one for one in ENDINGS if name.endswith(one)), None)
    if ending is None:
        raise UnreadableFile(f"{path.name}: ends with none of {', '.join(ENDINGS)} (or these and .gz)")
    return ending


def lines(path: Path, columns: Mapping[str, str], skip: int = 0) -> Iterator[Mapping[str, Any] | str]:
    """The file's records from the n-th on: fields, or what is wrong. The header of a CSV file is no record.

    Raises ``UnreadableFile`` where the file as a whole is broken: no header, a gzip stream that ends too early
    or is damaged.
    """
    read = _json_lines
    if format_of(path) == ".csv":
        # Of a header only the letters count, not whether they are capitals.
        read, columns = _csv, {field: theirs.lower() for field, theirs in columns.items()}
    try:
        with _opened(path) as file:
            for fields in read(file, skip):
                yield fields if isinstance(fields, str) or not columns else _renamed(fields, columns)
    except (EOFError, gzip.BadGzipFile, zlib.error, UnicodeError, csv.Error) as error:
        raise UnreadableFile(f"{path.name}: {error}") from None


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    # A byte that is no UTF-8 spoils its own line only.
    if path.name.lower().endswith(".gz"):
        with gzip.open(path, "rt", encoding="utf-8-sig", errors="replace", newline="") as file:
            yield file
    else:
        with path.open(encoding="utf-8-sig", errors="replace", newline="", buffering=_CHUNK) as file:
            yield file


def _renamed(fields: Mapping[str, Any], columns: Mapping[str, str]) -> dict[str, Any]:
    return {**fields, **{field: fields.get(theirs) for field, theirs in columns.items()}}


def _csv(file: IO[str], skip: int) -> Iterator[Mapping[str, Any] | str]:
    rows = csv.reader(map(_one_record, _lines(file)))
    header = next(rows, None)
    if header is None:
        raise csv.Error("is empty: not even a header")
    names = [name.strip().lower() for name in header]
    width = len(names)
    for row in islice(rows, skip, None):
        if len(row) == width:
            yield dict(zip(names, row, strict=True))
        elif row:
            yield f"{len(row)} columns, where the header has {width}"
        else:
            yield "empty, longer than a record can be, or a quotation mark that is not closed"


def _one_record(line: str) -> str:
    """A line, or nothing where reading it would take in those that follow: a quotation mark that is not closed."""
    return line if line.count('"') % 2 == 0 else ""


def _lines(file: IO[str]) -> Iterator[str]:
    """Line by line; an empty one in place of each that is no record for its length, which is never whole in memory."""
    while line := file.readline(LONGEST_LINE):
        if len(line) < LONGEST_LINE or line[-1] in "\r\n":
            yield line
            continue
        while (rest := file.readline(LONGEST_LINE)) and rest[-1] not in "\r\n":
            pass
        yield ""


def _json_lines(file: IO[str], skip: int) -> Iterator[Mapping[str, Any] | str]:
    # Empty lines are counted as lines: a file has to be the same whenever it is read on.
    for line in islice(_lines(file), skip, None):
        if not line:
            yield "longer than a record can be"
            continue
        try:
            yield _OBJECT.decode(line)
        except (msgspec.DecodeError, RecursionError):
            yield "no JSON object"
