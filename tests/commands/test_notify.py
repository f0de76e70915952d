"""Campaigns and parked messages, as staff runs them."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import dict_row

from commands.notify import parts

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def manage(program):
    """Runs a command line; returns exit code and everything printed."""

    def run(*arguments):
        done = program(*arguments)
        return done.exit_code, done.output

    return run


@pytest.fixture
def owner(database_url):
    with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as connection:
        yield connection


@pytest.fixture
async def lines(engine):
    """Numbers of three lines, two of them English and one Swahili."""
    made = [
        await engine.create_line(f"+25471200000{place}", language=language)
        for place, language in enumerate(("en", "sw", "en"))
    ]
    return [one.msisdn for one in made]


@pytest.fixture
def segment(tmp_path, lines):
    path = tmp_path / "numbers.csv"
    path.write_text("\n".join(["name,msisdn", *(f"x,{number}" for number in lines), "x,0712000000", "x,+254799999999"]))
    return path


def bodies(owner) -> list[str]:
    return sorted(row["body"]["text"] for row in owner.execute("SELECT body FROM outbox").fetchall())


def said_of(output: str) -> dict[str, str]:
    rows = [[cell.strip() for cell in row.split("│")[1:-1]] for row in output.splitlines() if "│" in row]
    return {row[0]: row[1] for row in rows if len(row) == 2}


def test_every_number_is_written_to_once_in_its_language(manage, segment, owner):
    code, said = manage("notify", "--segment", segment, "--template", "weekend")
    assert code == 0
    # 0712000000 is one of the three, written another way; +254799999999 is nobody's.
    assert said_of(said) == {"queued": "3", "twice": "1", "unknown": "1"}
    texts = bodies(owner)
    assert sum("double data" in text for text in texts) == 2
    assert sum("maradufu" in text for text in texts) == 1
    assert all("*123#" in text and "{" not in text for text in texts)
    assert owner.execute("SELECT DISTINCT topic, priority FROM outbox").fetchall() == [
        {"topic": "campaign", "priority": 2}
    ]


def test_started_again_it_writes_to_nobody_twice(manage, segment, owner):
    for _ in range(2):
        code, said = manage("notify", "--segment", segment, "--template", "weekend")
        assert code == 0
    assert said_of(said)["already"] == "3"
    assert len(bodies(owner)) == 3


def test_a_file_that_grew_is_another_campaign_unless_it_is_named(manage, segment, owner):
    arguments = ("notify", "--segment", segment, "--template", "weekend", "--name", "december")
    assert manage(*arguments)[0] == 0
    segment.write_text(segment.read_text().replace("+254799999999", "+254712000001"))
    assert said_of(manage(*arguments)[1])["already"] == "3"
    assert len(bodies(owner)) == 3
    code, said = manage("notify", "show", "december")
    assert code == 0
    assert said_of(said) == {"due": "3"}


def test_a_packed_file_is_read_like_a_plain_one(manage, segment, lines, tmp_path, owner):
    packed = tmp_path / "numbers.gz"
    packed.write_bytes(gzip.compress("\r\n".join(lines).encode("utf-8-sig")))
    code, said = manage("notify", "--segment", packed, "--template", "weekend")
    assert code == 0
    assert said_of(said) == {"queued": "3"}


def test_a_dry_run_counts_and_shows_and_writes_nothing(manage, segment, owner):
    code, said = manage("notify", "--segment", segment, "--template", "weekend", "--dry-run")
    assert code == 0
    assert said_of(said) == {"would be queued": "3", "twice": "1", "unknown": "1"}
    assert "en (1 SMS): Rasid Kenya: double data" in said
    for table in ("outbox", "campaign", "campaign_recipient"):
        assert owner.execute(f"SELECT count(*) AS n FROM {table}").fetchone() == {"n": 0}


def test_a_campaign_goes_on_where_it_was_killed(environment, engine, owner, tmp_path):
    count = 1500
    path = tmp_path / "many.csv"
    path.write_text("\n".join(f"+2547130{place:05d}" for place in range(count)))
    opened = subprocess.run(
        [sys.executable, "-c", OPEN_LINES, str(count)], cwd=ROOT, env=os.environ | environment, check=True, timeout=120
    )
    assert opened.returncode == 0
    argv = [sys.executable, "manage.py", "notify", "--segment", str(path), "--template", "weekend"]
    killed = subprocess.Popen(argv, cwd=ROOT, env=os.environ | environment, stdout=subprocess.DEVNULL)
    while owner.execute("SELECT count(*) AS n FROM campaign_recipient").fetchone()["n"] == 0:
        assert killed.poll() is None
        time.sleep(0.002)
    killed.kill()
    killed.wait()
    before = owner.execute("SELECT count(*) AS n FROM outbox").fetchone()["n"]
    assert 0 < before < count
    subprocess.run(argv, cwd=ROOT, env=os.environ | environment, check=True, timeout=120, stdout=subprocess.DEVNULL)
    told = owner.execute("SELECT count(*) AS messages, count(DISTINCT line_id) AS lines FROM outbox").fetchone()
    assert told == {"messages": count, "lines": count}


OPEN_LINES = """
import asyncio, sys
from commands.installation import open_installation
from engine.accounts.service import Accounts

async def main():
    async with open_installation() as installation:
        accounts = Accounts(installation.database, installation.operator, installation.keyring)
        for place in range(int(sys.argv[1])):
            await accounts.create_line(f"+2547130{place:05d}")

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--template", "weekend"), "needs --segment and --template"),
        (("--segment", "none.csv", "--template", "weekend"), "No such file"),
        (("--segment", "{segment}", "--template", "easter"), "no template is called easter; there are: weekend"),
    ],
)
def test_what_cannot_be_sent_is_refused_in_a_sentence(manage, segment, owner, arguments, reason):
    code, said = manage("notify", *(one.format(segment=segment) for one in arguments))
    assert (code, reason in said) == (2, True)
    assert owner.execute("SELECT count(*) AS n FROM campaign").fetchone() == {"n": 0}


def test_a_template_that_takes_too_many_sms_is_refused(manage, segment, environment, tmp_path):
    operator = tmp_path / "operator.toml"
    kenya = (ROOT / "examples" / "kenya.toml").read_text()
    operator.write_text(kenya.replace("double data on all", "double data " * 30 + "on all"))
    environment["RASID_OPERATOR"] = str(operator)
    code, said = manage("notify", "--segment", segment, "--template", "weekend")
    assert code == 2
    assert "in en takes" in said


def test_a_campaign_of_one_name_has_one_template(manage, segment, environment, tmp_path):
    operator = tmp_path / "operator.toml"
    kenya = (ROOT / "examples" / "kenya.toml").read_text()
    operator.write_text(
        kenya.replace("[templates.weekend]", '[templates.other]\nen = "A"\nsw = "B"\n\n[templates.weekend]')
    )
    environment["RASID_OPERATOR"] = str(operator)
    assert manage("notify", "--segment", segment, "--template", "weekend", "--name", "december")[0] == 0
    code, said = manage("notify", "--segment", segment, "--template", "other", "--name", "december")
    assert (code, "was started with the template weekend" in said) == (2, True)


def test_a_campaign_whose_master_key_is_gone_is_not_gone_on_with(manage, segment, environment, owner):
    arguments = ("notify", "--segment", segment, "--template", "weekend", "--name", "december")
    assert manage(*arguments)[0] == 0
    environment["RASID_KEYS"] = json.dumps({"2": (b"n" * 32).hex()})
    code, said = manage(*arguments)
    assert code == 2
    assert "campaign december was started under key 1, which is not in the settings" in said
    assert len(bodies(owner)) == 3


def test_parked_messages_are_shown_with_their_reason_and_sent_again(manage, segment, owner):
    manage("notify", "--segment", segment, "--template", "weekend", "--name", "december")
    owner.execute(
        "UPDATE outbox SET state = 'parked', carrier = 'one', error = 'unknown: one may have it', attempts = 3"
    )
    code, said = manage("notify", "parked")
    assert code == 0
    assert said.count("unknown: one may have it") == 3
    assert said_of(manage("notify", "show", "december")[1]) == {"parked: unknown: one may have it": "3"}
    message_id = str(owner.execute("SELECT message_id FROM outbox LIMIT 1").fetchone()["message_id"])
    assert manage("notify", "resend", message_id)[0] == 0
    code, said = manage("notify", "resend", message_id)
    assert (code, f"not parked: {message_id}" in said) == (1, True)
    assert said_of(manage("notify", "show", "december")[1]) == {"due": "1", "parked: unknown: one may have it": "2"}


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("a" * 160, 1),
        ("a" * 161, 2),
        ("€" * 80, 1),
        ("€" * 81, 2),
        ("م" * 70, 1),
        ("م" * 71, 2),
        ("a" * 307, 3),
        ("", 1),
    ],
)
def test_parts_are_counted_as_the_network_does(text, count):
    assert parts(text) == count


@pytest.mark.parametrize(
    "content",
    [gzip.compress(b"msisdn\n+254712000000\n" * 99)[:-9], b"msisdn\n\xff\xfe\n"],
    ids=["broken_off", "no_text"],
)
def test_a_file_that_is_not_whole_is_refused_before_anybody_is_written_to(manage, owner, tmp_path, content):
    broken = tmp_path / "numbers.csv"
    broken.write_bytes(content)
    status, said = manage("notify", "--segment", broken, "--template", "weekend", "--name", "weekend")
    assert status == 2 and str(broken) in said
    assert bodies(owner) == []
