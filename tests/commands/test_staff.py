"""The operator's commands, run as a person runs them."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pyrage
import pytest
import typer
from psycopg.rows import dict_row
from typer.testing import CliRunner

from commands import bill, doctor, line, voucher
from commands.installation import major_units, minor_units

ROOT = Path(__file__).resolve().parents[2]
MSISDN = "+254712000001"
PROGRAM = "from tests.commands.test_staff import app; app()"

app = typer.Typer()
for name, part in (("voucher", voucher), ("line", line), ("doctor", doctor), ("bill", bill)):
    app.add_typer(part.app, name=name)


@pytest.fixture
def manage(database_url, monkeypatch):
    """Runs a command line; returns exit code and everything printed."""
    for variable in [variable for variable in os.environ if variable.startswith("RASID_")]:
        monkeypatch.delenv(variable)
    environment = {
        "DATABASE_URL": database_url,
        "REDIS_URL": "redis://127.0.0.1:1/0",
        "RASID_OPERATOR": str(ROOT / "examples" / "kenya.toml"),
        "RASID_KEYS": json.dumps({"1": bytes(range(32)).hex()}),
        "COLUMNS": "250",
        "NO_COLOR": "1",
    }

    def run(*arguments, say=""):
        done = CliRunner().invoke(app, [str(argument) for argument in arguments], input=say, env=environment)
        # Anything but a way of leaving is a traceback on a person's screen.
        assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
        return done.exit_code, done.output

    return run


@pytest.fixture
def owner(database_url):
    with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as connection:
        yield connection


def generated(manage, out, *more):
    code, said = manage("voucher", "generate", "--face-value", "50", "--by", "alice", "--out", out, *more)
    assert code == 0, said
    return said


def test_vouchers_leave_only_in_a_file_for_the_printers_key(manage, owner, tmp_path):
    key = pyrage.x25519.Identity.generate()
    out = tmp_path / "batch.age"
    said = generated(manage, out, "--count", 3000, "--recipient", key.to_public())
    sealed = out.read_bytes()
    assert sealed.startswith(b"age-encryption.org/v1\n")
    assert out.stat().st_mode & 0o077 == 0
    rows = list(csv.DictReader(io.StringIO(pyrage.decrypt(sealed, [key]).decode())))
    assert [int(row["serial"]) for row in rows] == list(range(1, 3001))
    assert {row["face_value"] for row in rows} == {"50.00 KES"}
    for row in rows[:5]:
        assert row["number"] not in said
        assert row["number"].encode() not in sealed
    assert owner.execute("SELECT face_value, count, state FROM voucher_batch").fetchall() == [
        {"face_value": 5000, "count": 3000, "state": "created"}
    ]
    code, said = manage("voucher", "show", say=rows[41]["number"] + "\n")
    assert code == 0
    assert "serial 42: unused" in said
    assert rows[41]["number"] not in said


def test_a_passphrase_opens_the_file_too(manage, tmp_path):
    phrase = tmp_path / "phrase"
    phrase.write_text("correct horse battery\n")
    out = tmp_path / "batch.age"
    generated(manage, out, "--count", 2, "--passphrase-file", phrase)
    plain = pyrage.passphrase.decrypt(out.read_bytes(), "correct horse battery")
    assert plain.count(b"\r\n") == 3


def test_what_cannot_be_written_or_read_makes_no_voucher_that_could_be_sold(manage, owner, tmp_path):
    out = tmp_path / "batch.age"
    key = str(pyrage.x25519.Identity.generate().to_public())
    base = ["voucher", "generate", "--by", "alice", "--count", 2]
    refusals = {
        "either --recipient or --passphrase-file": ["--face-value", "50", "--out", out],
        "no age public key": ["--face-value", "50", "--out", out, "--recipient", "age1nonsense"],
        "above 0": ["--face-value", "-5", "--out", out, "--recipient", key],
        "finer than KES": ["--face-value", "0.005", "--out", out, "--recipient", key],
        "no amount": ["--face-value", "fifty", "--out", out, "--recipient", key],
        "is there already": ["--face-value", "50", "--out", __file__, "--recipient", key],
    }
    for reason, arguments in refusals.items():
        code, said = manage(*base, *arguments)
        assert code == 2
        assert reason in said
    assert owner.execute("SELECT FROM voucher_batch").fetchall() == []
    # The file fails only after the vouchers were made: they are recalled.
    code, said = manage(*base, "--face-value", "50", "--out", tmp_path / "no" / "folder", "--recipient", key)
    assert code == 2
    assert "No such file" in said
    assert owner.execute("SELECT state FROM voucher_batch").fetchall() == [{"state": "recalled"}]
    assert list(tmp_path.iterdir()) == []


def test_a_batch_goes_its_way_with_a_second_person(manage, owner, tmp_path):
    generated(manage, tmp_path / "b.age", "--count", 3, "--recipient", pyrage.x25519.Identity.generate().to_public())
    batch = owner.execute("SELECT batch_id FROM voucher_batch").fetchone()["batch_id"]
    code, said = manage("voucher", "move", batch, "active", "--by", "bob")
    assert (code, "a created batch cannot become active; only printed or recalled" in said) == (2, True)
    for state in ("printed", "shipped"):
        assert manage("voucher", "move", batch, state, "--by", "alice")[0] == 0
    code, said = manage("voucher", "move", batch, "active", "--by", "alice")
    assert (code, "someone else has to activate it" in said) == (2, True)
    assert manage("voucher", "move", batch, "active", "--by", "bob")[0] == 0
    code, said = manage("voucher", "block", batch, 2, 9, "--by", "bob")
    assert code == 1
    assert "1 blocked" in said
    assert "not there: 9" in said
    code, said = manage("voucher", "list")
    assert code == 0
    assert all(word in said for word in (str(batch), "active", "50.00 KES", "alice", "bob"))
    assert "serial 2: blocked" in manage("voucher", "show", batch, "--serial", 2)[1]


def test_a_line_is_opened_shown_stopped_and_unlocked(manage, owner):
    assert manage("line", "add", "0712345678", "--imsi", "639020000000001", "--language", "sw")[0] == 0
    code, said = manage("line", "add", "+254712345678")
    assert (code, "this msisdn belongs to a line already" in said) == (2, True)
    code, said = manage("line", "show", "254712345678")
    assert code == 0
    assert "preactive, sw, no PIN" in said
    assert manage("line", "status", "0712345678", "active", "--reason", "sold", "--by", "bob")[0] == 0
    code, said = manage("line", "status", "0712345678", "preactive", "--reason", "x", "--by", "bob")
    assert (code, "active cannot become preactive" in said) == (2, True)
    owner.execute("UPDATE line SET pin_hash = 'x', voucher_locked_until = now() + interval '1 hour'")
    assert manage("line", "unlock", "0712345678")[0] == 0
    assert manage("line", "pin-reset", "0712345678")[0] == 0
    row = owner.execute("SELECT pin_hash, voucher_locked_until FROM line").fetchone()
    assert row == {"pin_hash": None, "voucher_locked_until": None}
    for number, reason in (("0712345679", "no line"), ("+97433123456", "foreign"), ("nonsense", "malformed")):
        code, said = manage("line", "show", number)
        assert code == 2
        assert reason in said


def test_the_doctor_names_and_freezes_the_account_that_is_wrong(manage, owner):
    assert manage("line", "add", "0712345678")[0] == 0
    code, said = manage("doctor")
    assert code == 0
    assert "the books are right" in said
    owner.execute(
        "INSERT INTO bucket (shard, account_id, bucket_id, unit, product, initial, amount, priority, starts_at)"
        " SELECT shard, account_id, gen_random_uuid(), 'money', 'airtime', 0, 777, 1, now() FROM account"
    )
    account = owner.execute("SELECT account_id FROM account").fetchone()["account_id"]
    code, said = manage("doctor")
    assert code == 1
    assert all(word in said for word in (str(account), "bucket_amount", "777"))
    assert owner.execute("SELECT frozen_at FROM account").fetchone() == {"frozen_at": None}
    code, said = manage("doctor", "--freeze")
    assert code == 1
    assert "1 accounts frozen" in said
    assert owner.execute("SELECT frozen_reason FROM account").fetchone() == {"frozen_reason": "bucket_amount"}
    assert "frozen" in manage("line", "show", "0712345678")[1]


def test_a_missing_setting_is_named_without_a_traceback(database_url):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, "voucher", "list"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "DATABASE_URL": database_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "operator" in done.stderr
    assert "Traceback" not in done.stderr


def test_money_is_read_to_the_currencys_last_decimal():
    assert minor_units("50", "KES") == 5000
    assert minor_units("12.5", "QAR") == 1250
    assert minor_units("1.234", "KWD") == 1234
    assert minor_units("7", "UGX") == 7
    for typed in ("12.345", "0", "-1", "1e999", "NaN", "Infinity", "", "1,5"):
        with pytest.raises(ValueError):
            minor_units(typed, "KES")
    assert major_units(123456, "KES") == "1,234.56 KES"
    assert major_units(7, "UGX") == "7 UGX"


def test_a_correction_is_booked_once_for_each_ticket_and_kept_with_its_reason(manage, owner):
    manage("line", "add", MSISDN)
    given = ("line", "adjust", MSISDN, "12.50", "--ticket", "T-1", "--reason", "lost recharge", "--by", "amina")
    for _ in range(2):
        code, said = manage(*given)
        assert code == 0 and "12.50" in said
    code, said = manage(
        "line", "adjust", MSISDN, "20", "--take", "--ticket", "T-2", "--reason", "typing", "--by", "amina"
    )
    assert code == 2 and "balance too low" in said
    booked = owner.execute(
        "SELECT code, source, answer->'details'->>'reason' AS reason FROM operation ORDER BY booked_at"
    )
    assert booked.fetchall() == [
        {"code": "ok", "source": "staff:amina", "reason": "lost recharge"},
        {"code": "balance_too_low", "source": "staff:amina", "reason": None},
    ]


def test_a_postpaid_fixed_line_gets_a_limit_once_for_each_ticket_and_a_bill_for_a_month_that_is_over(manage, owner):
    number = "+254202345678"
    assert manage("line", "add", number, "--fixed", "--postpaid", "--status", "active")[0] == 0
    for _ in range(2):
        code, said = manage(
            "line", "limit", number, "500", "--fixed", "--ticket", "T-1", "--reason", "contract", "--by", "amina"
        )
        assert code == 0 and "500.00" in said
    assert owner.execute("SELECT count(*) AS n FROM operation WHERE kind = 'set_credit_limit'").fetchone() == {"n": 1}
    assert manage("bill", "make", "2026-02-30")[0] == 2
    assert manage("bill", "make", "2999-01")[0] == 2
    # Nothing was used, so there is nothing to bill.
    assert "0 bills" in manage("bill", "make", "2026-01", "--by", "amina")[1]
    assert manage("bill", "list", number, "--fixed")[0] == 0
    recorded = owner.execute("SELECT what FROM staff_action ORDER BY at").fetchall()
    assert {"line.limit", "bill.make"} <= {row["what"] for row in recorded}


def test_a_frozen_account_is_let_go_and_a_person_erased(manage, owner):
    manage("line", "add", MSISDN)
    owner.execute("UPDATE account SET frozen_at = now(), frozen_reason = 'test'")
    assert manage("line", "unfreeze", MSISDN)[0] == 0
    assert owner.execute("SELECT count(*) AS n FROM account WHERE frozen_at IS NULL").fetchone() == {"n": 1}
    assert manage("line", "erase", MSISDN, "--by", "amina", say="y\n")[0] == 0
    assert manage("line", "show", MSISDN)[0] == 2
