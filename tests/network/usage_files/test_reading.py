"""Files of usage records: formats, broken lines, and folders that are watched."""

from __future__ import annotations

import gzip
import json
import os
import time
import tracemalloc
from pathlib import Path

import pytest

from engine.api import Engine, Opened
from engine.words import EngineUnavailable, Unit, UsageFile
from network.usage_files.folder import WatchedFolders, complete_files
from network.usage_files.reading import UnreadableFile, lines, open_usage
from settings import UsageFolder
from tests.engine.shop import credit, open_line

START, END = "2026-01-05T10:00:00+03:00", "2026-01-05T10:05:00+03:00"
UNREAD = "empty, longer than a record can be, or a quotation mark that is not closed"
HEADER = "msisdn,session,rating_group,uplink,downlink,start,end"


def row(msisdn: str, session: str, octets: int = 1_000) -> str:
    return f"{msisdn},{session},10,0,{octets},{START},{END}"


def test_a_csv_line_is_read_by_its_header(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"{HEADER}\n{row('0711', 's')}\nonly,two\n", encoding="utf-8-sig")
    read = list(lines(path, {}))
    assert read[0] == {
        "msisdn": "0711", "session": "s", "rating_group": "10", "uplink": "0", "downlink": "1000", "start": START,
        "end": END,
    }  # fmt: skip
    assert read[1] == "2 columns, where the header has 7"


@pytest.mark.parametrize("name", ["a.jsonl", "a.ndjson.gz"])
def test_json_lines_are_read_one_by_one(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    text = json.dumps({"session": "s"}) + "\nnot json\n[1]\n" + json.dumps({"session": "t"}) + "\n"
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    assert list(lines(path, {})) == [{"session": "s"}, "no JSON object", "no JSON object", {"session": "t"}]
    assert list(lines(path, {}, skip=3)) == [{"session": "t"}]


def test_a_quotation_mark_that_is_not_closed_spoils_its_own_line_only(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    said = ['a,"b"', '"a,b', "c,d", '"e ""f""",g', '"' + "x" * 200_000, "h,i"]
    path.write_text("\n".join(["one,two", *said]) + "\n")
    read = list(lines(path, {}))
    assert [one if isinstance(one, str) else tuple(one.values()) for one in read] == [
        ("a", "b"), UNREAD, ("c", "d"), ('e "f"', "g"), UNREAD, ("h", "i"),
    ]  # fmt: skip
    assert list(lines(path, {}, skip=4)) == read[4:]


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_line_that_does_not_end_is_one_bad_line_and_never_whole_in_memory(tmp_path: Path, ending: str) -> None:
    for name, first, good in (("a.csv.gz", f"one{ending}", "x"), ("a.jsonl.gz", "", '{"one": "x"}')):
        path = tmp_path / name
        with gzip.open(path, "wb") as file:
            file.write(first.encode())
            for _ in range(8):
                file.write(bytes(1_000_000))
            file.write(f"{ending}{good}{ending}".encode())
        tracemalloc.start()
        read = list(lines(path, {}))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert isinstance(read[0], str) and read[1:] == [{"one": "x"}]
        assert most < 4_000_000


def test_json_that_is_nested_too_deep_spoils_its_own_line_only(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"a":' + "[" * 30_000 + "]" * 30_000 + '}\n{"session": "s"}\n')
    assert list(lines(path, {})) == ["no JSON object", {"session": "s"}]


def test_columns_may_have_the_collection_points_own_names(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("chargingId\nabc\n")
    for theirs in ("chargingId", "chargingid"):
        (read,) = lines(path, {"session": theirs})
        assert not isinstance(read, str) and read["session"] == "abc"


def test_a_stream_that_ends_too_early_is_refused_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(f"{HEADER}\n{row('1', 's')}\n".encode())[:-10])
    with pytest.raises(UnreadableFile, match=r"a\.csv\.gz"):
        list(lines(path, {}))


def test_a_stream_that_is_damaged_is_refused_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    whole = bytearray(gzip.compress(f"{HEADER}\n{row('1', 's')}\n".encode()))
    whole[10] = 0xFF  # a kind of block that there is none of (RFC 1951 §3.2.3)
    path.write_bytes(whole)
    with pytest.raises(UnreadableFile, match=r"a\.csv\.gz"):
        list(lines(path, {}))


def test_an_unknown_ending_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"")
    with pytest.raises(UnreadableFile, match="ends with none of"):
        open_usage(tmp_path / "a.pdf", "ggsn", "files")


def old(path: Path) -> None:
    then = time.time() - 60
    os.utime(path, (then, then))


def test_a_file_that_is_still_written_to_is_left_alone(tmp_path: Path) -> None:
    done, growing, other = tmp_path / "a.csv", tmp_path / "b.csv", tmp_path / "readme.txt"
    for path in (done, growing, other):
        path.write_text("x")
    old(done)
    old(other)
    assert complete_files(tmp_path) == [done]


async def test_what_lies_in_a_folder_is_charged_once_and_moved_aside(engine: Engine, tmp_path: Path) -> None:
    line = await open_line(engine)
    await credit(engine, line, 10_000, Unit.OCTETS)
    text = f"{HEADER}\n{row(line.msisdn, 's')}\n".encode()
    (tmp_path / "a.csv.gz").write_bytes(gzip.compress(text))
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(text)[:-9])
    (tmp_path / "c.csv").write_bytes(text)
    for path in tmp_path.iterdir():
        old(path)
    folders = WatchedFolders(engine, {"ggsn": UsageFolder(path=tmp_path)})
    assert await folders.import_waiting() == 2
    assert await folders.import_waiting() == 0
    moved = sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*.csv*"))
    assert moved == ["done/a.csv.gz", "done/c.csv", "refused/b.csv.gz"]
    assert (await engine.subscriber(line.msisdn)).total(Unit.OCTETS) == 9_000


async def test_a_file_that_cannot_be_charged_yet_holds_up_no_other(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = await open_line(engine)
    await credit(engine, line, 10_000, Unit.OCTETS)
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(f"{HEADER}\n{row(line.msisdn, name)}\n")
        old(tmp_path / name)
    folders, import_usage = WatchedFolders(engine, {"ggsn": UsageFolder(path=tmp_path)}), engine.mediation.import_usage

    async def one_waits(opened: Opened) -> UsageFile:
        if opened.name == "a.csv":
            raise EngineUnavailable("another process reads this file")
        return await import_usage(opened)

    with monkeypatch.context() as busy:
        busy.setattr(engine.mediation, "import_usage", one_waits)
        assert await folders.import_waiting() == 1
    assert (tmp_path / "a.csv").exists() and (tmp_path / "done" / "b.csv").exists()
    assert await folders.import_waiting() == 1
    assert (await engine.subscriber(line.msisdn)).total(Unit.OCTETS) == 8_000


async def test_a_folder_and_a_file_that_cannot_be_opened_hold_up_no_other(engine: Engine, tmp_path: Path) -> None:
    line = await open_line(engine)
    await credit(engine, line, 10_000, Unit.OCTETS)
    for name in ("a.csv", "b.csv"):
        (tmp_path / name).write_text(f"{HEADER}\n{row(line.msisdn, name)}\n")
        old(tmp_path / name)
    # Nothing can be moved to where a file stands in the way, by whoever runs this.
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "done").touch()
    (tmp_path / "a.csv").rename(tmp_path / "a" / "a.csv")
    folders = {"away": tmp_path / "nowhere", "stuck": tmp_path / "a", "ggsn": tmp_path}
    watched = WatchedFolders(engine, {name: UsageFolder(path=path) for name, path in folders.items()})
    for done in (1, 0):
        assert await watched.import_waiting() == done
    assert (tmp_path / "a" / "a.csv").exists() and (tmp_path / "done" / "b.csv").exists()
    assert (await engine.subscriber(line.msisdn)).total(Unit.OCTETS) == 8_000
