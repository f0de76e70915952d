"""Settlement files that are put into a folder are reconciled once they are whole, and moved aside."""

from __future__ import annotations

import gzip
import os
import time
from pathlib import Path

from engine.reconciliation.folders import StatementFolders
from tests.engine.payments.house import House
from tests.engine.reconciliation.test_mpesa import HEADER, TITLE, account, asked, line


def put(folder: Path, name: str, text: str, *, age: float = 60.0) -> Path:
    """A file that was last written to so many seconds ago."""
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    os.utime(path, (time.time() - age,) * 2)
    return path


async def test_a_whole_file_is_reconciled_and_moved_and_one_without_a_readable_line_is_refused(
    house: House, tmp_path: Path
) -> None:
    payment = await asked(house)
    text = "\n".join([TITLE, HEADER, line("TEX1234567", "50.00", account(payment))])
    put(tmp_path, "a.csv", text)
    put(tmp_path, "b.csv.gz", text)
    put(tmp_path, "c.csv", "nothing of the kind")
    put(tmp_path, "d.csv.gz", "").write_bytes(b"\x1f\x8bbroken")
    os.utime(tmp_path / "d.csv.gz", (time.time() - 60,) * 2)
    put(tmp_path, "growing.csv", text, age=0.0)
    put(tmp_path, ".hidden.csv", text)
    folders = StatementFolders(house.engine.reconciliation, {"mpesa": tmp_path})
    assert await folders.import_waiting() == 2
    assert {one.name for one in (tmp_path / "done").iterdir()} == {"a.csv", "b.csv.gz"}
    assert {one.name for one in (tmp_path / "refused").iterdir()} == {"c.csv", "d.csv.gz"}
    assert {one.name for one in tmp_path.iterdir() if one.is_file()} == {"growing.csv", ".hidden.csv"}
    runs = await house.engine.reconciliation.runs()
    assert {(run.gateway, run.source, run.by, run.rows) for run in runs} == {
        ("mpesa", "file:a.csv", "schedule", 1),
        ("mpesa", "file:b.csv.gz", "schedule", 1),
    }
    assert await folders.import_waiting() == 0


async def test_a_file_of_the_same_name_is_kept_beside_the_earlier_one(house: House, tmp_path: Path) -> None:
    folders = StatementFolders(house.engine.reconciliation, {"mpesa": tmp_path})
    for text in ("first", "second", "third"):
        put(tmp_path, "a.csv", text)
        assert await folders.import_waiting() == 0
    kept = {one.name: one.read_text() for one in (tmp_path / "refused").iterdir()}
    assert kept == {"a.csv": "first", "a.csv.1": "second", "a.csv.2": "third"}
