"""Staff's audit commands, run as a person runs them: verify, receipts, disputes, and who did what and why."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg.rows import dict_row

from engine.api import open_engine
from tests.engine.payers import settled

ROOT = Path(__file__).resolve().parents[2]
MSISDN = "+254712000001"


@pytest.fixture
def environment(environment, tmp_path):
    """With roots exported outside the database."""
    return environment | {"RASID_AUDIT_EXPORT": str(tmp_path / "export")}


@pytest.fixture
def owner(database_url):
    with psycopg.connect(database_url, autocommit=True, row_factory=dict_row) as connection:
        yield connection


@pytest.fixture
def paid(manage, owner, database_url, operator, keyring):
    """A line with a correction and a settled payment, sealed; the payment's reference."""
    manage("line", "add", MSISDN, "--status", "active")
    manage("line", "adjust", MSISDN, "12.50", "--ticket", "T-1", "--reason", "lost recharge", "--by", "bob")

    async def pay():
        engine = await open_engine(database_url, operator, keyring)
        try:
            return (await settled(engine, owner, await engine.subscriber(MSISDN))).reference
        finally:
            await engine.close()

    reference = asyncio.run(pay())
    assert "rows sealed" in manage("audit", "seal")
    return reference


def test_history_is_verified_and_the_changed_operation_named_by_shard_account_and_key(manage, owner, paid):
    assert "history is what it was" in manage("audit", "verify")
    changed = owner.execute(
        "UPDATE transfer SET amount = 9 WHERE debit = 'gateway' RETURNING shard, account_id, key"
    ).fetchone()
    said = manage("audit", "verify", code=1)
    assert all(str(value) in said for value in changed.values())
    assert "changed" in said


def test_a_cut_off_tail_is_found_by_the_export_that_is_given(manage, owner, paid, tmp_path):
    for table in ("operation", "transfer", "staff_action", "payment_event", "audit_root"):
        owner.execute(f"DELETE FROM {table}")
    (file,) = (tmp_path / "export").glob("roots-*.jsonl")
    said = manage("audit", "verify", "--export", file, code=1)
    assert "root is missing in the database" in said
    assert "removed" in said


def test_an_export_that_is_not_there_is_refused(manage, paid, tmp_path):
    assert "there is no export" in manage("audit", "verify", "--export", tmp_path / "nothing", code=2)
    bad = tmp_path / "keys.json"
    bad.write_text("[]")
    assert "no file of public keys" in manage("audit", "verify", "--keys", bad, code=2)


def test_who_did_what_and_why_is_listed(manage, owner, paid):
    said = manage("audit", "list")
    assert all(
        word in said for word in ("line.adjust", "bob", "lost recharge", "line.added", "amina", '"ticket":"T-1"')
    )
    assert MSISDN.lstrip("+") not in said
    assert "line.added" not in manage("audit", "list", "--by", "bob")


def test_every_command_that_changes_something_leaves_who_and_why(manage, owner, tmp_path):
    phrase = tmp_path / "phrase"
    phrase.write_text("correct horse battery\n")
    who = ("--by", "bob", "--why", "ticket 7")
    manage("line", "add", MSISDN, *who)
    manage("line", "status", MSISDN, "active", "--reason", "ticket 7", "--by", "bob")
    manage("line", "pin-reset", MSISDN, *who)
    manage("line", "unlock", MSISDN, *who)
    manage("line", "unfreeze", MSISDN, *who)
    made = ("--face-value", "50", "--count", 2, "--out", tmp_path / "b.age", "--passphrase-file", phrase)
    manage("voucher", "generate", *made, *who)
    batch = owner.execute("SELECT batch_id FROM voucher_batch").fetchone()["batch_id"]
    manage("voucher", "move", batch, "printed", *who)
    manage("voucher", "block", batch, 2, *who)
    manage("voucher", "move", batch, "active", *who, code=2)
    owner.execute(
        "INSERT INTO bucket (shard, account_id, bucket_id, unit, product, initial, amount, priority, starts_at)"
        " SELECT shard, account_id, gen_random_uuid(), 'money', 'airtime', 0, 777, 1, now() FROM account"
    )
    manage("doctor", "--freeze", *who, code=1)
    manage("notify", "resend", batch, *who, code=1)
    manage("line", "erase", MSISDN, *who, say="y\n")
    told = owner.execute("SELECT body FROM event WHERE topic = 'provisioning.changed' ORDER BY created_at").fetchall()
    assert told[-1]["body"]["served"] is False
    rows = owner.execute("SELECT what, by, why FROM staff_action ORDER BY at").fetchall()
    assert {(row["by"], row["why"]) for row in rows} == {("bob", "ticket 7")}
    assert [row["what"] for row in rows] == [
        "line.add",
        "line.added",
        "line.status",
        "line.pin_reset",
        "line.unlock",
        "line.unfreeze",
        "voucher.generate",
        "voucher.move",
        "voucher.block",
        "voucher.move",
        "voucher.move.refused",
        "doctor.freeze",
        "account.frozen",
        "notify.resend",
        "line.erase",
    ]


def offline(*arguments):
    """A command on a machine without any settings."""
    return subprocess.run(
        [sys.executable, "manage.py", *map(str, arguments)],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_a_receipt_is_verified_offline_with_the_public_keys_alone(manage, paid, tmp_path):
    file, keys = tmp_path / "receipt.json", tmp_path / "keys.json"
    file.write_text(manage("receipt", "show", paid))
    keys.write_text(manage("audit", "keys"))
    done = offline("receipt", "verify", file, "--keys", keys)
    assert done.returncode == 0, done.stderr
    assert paid in done.stdout and "lies in the audit chain" in done.stdout
    file.write_text(file.read_text().replace('"amount": 5000', '"amount": 9000'))
    done = offline("receipt", "verify", file, "--keys", keys)
    assert (done.returncode, "not a receipt of ours" in done.stdout) == (1, True)
    # Without keys they come from the settings, of which there are none here.
    done = offline("receipt", "verify", file)
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)


def test_a_receipt_that_is_not_chained_says_when_it_will_be(manage, paid, tmp_path, owner):
    manage("line", "adjust", MSISDN, "1", "--ticket", "T-2", "--reason", "x")
    reference = owner.execute("SELECT reference FROM operation ORDER BY booked_at DESC LIMIT 1").fetchone()["reference"]
    file = tmp_path / "receipt.json"
    file.write_text(manage("receipt", "show", reference, "--line", MSISDN))
    assert "ask for it again after" in manage("receipt", "verify", file, code=3)
    assert "nothing that was done" in manage("receipt", "show", "NOSUCH", code=2)
    assert "No such file" in manage("receipt", "verify", tmp_path / "nothing", code=2)


def test_a_dispute_goes_its_way(manage, paid, owner):
    said = manage("dispute", "open", paid, "--reason", "never got it", "--by", "amina", "--days", 5)
    number = owner.execute("SELECT number FROM dispute").fetchone()["number"]
    assert all(word in said for word in (number, "hop", "gateway", "receipt", "message"))
    assert "carol" in manage("dispute", "assign", number, "carol", "--by", "bob")
    assert number in manage("dispute", "list")
    lines = manage("dispute", "show", number, "--full").splitlines()
    assert {"operation", "transfer"} <= {json.loads(line)["layer"] for line in lines}
    said = manage("dispute", "resolve", number, "refund", "--reason", "believed", "--by", "carol")
    assert "resolved" in said and "refund" in said
    assert owner.execute("SELECT state FROM payment").fetchone() == {"state": "refunding"}
    assert number not in manage("dispute", "list")
    assert "was resolved" in manage("dispute", "resolve", number, "refused", "--reason", "x", "--by", "bob", code=2)
    assert "no case" in manage("dispute", "show", "D0000000", code=2)


def test_a_refund_that_the_door_refuses_leaves_the_case_open(manage, paid, owner):
    manage("dispute", "open", paid, "--reason", "never got it")
    number = owner.execute("SELECT number FROM dispute").fetchone()["number"]
    manage("line", "adjust", MSISDN, "30", "--take", "--ticket", "T-3", "--reason", "x")
    said = manage("dispute", "resolve", number, "refund", "--reason", "believed", code=2)
    assert "balance too low; the case is open again" in said
    assert owner.execute("SELECT state FROM dispute").fetchone() == {"state": "open"}


def test_another_system_is_subscribed_and_what_it_would_not_take_sent_again(manage, owner):
    said = manage("events", "subscribe", "https://crm.example.com/x", "--query", "eventType=SettlementCompletedEvent")
    (row,) = owner.execute("SELECT subscription_id, topics, made_by, sealed_secret FROM subscription").fetchall()
    secret = said.split("secret ")[1].split()[0]
    assert (row["topics"], row["made_by"], len(secret)) == (["settlement.completed"], "amina", 64)
    assert secret.encode() not in bytes(row["sealed_secret"])
    listed = manage("events", "list")
    assert "crm.example.com" in listed and secret not in listed
    owner.execute(
        "INSERT INTO event_delivery (shard, account_id, subscription_id, event_id, state, attempts, due_at, made_at,"
        " error) VALUES (1, gen_random_uuid(), %s, gen_random_uuid(), 'parked', 9, now(), now(), 'status 400')",
        (row["subscription_id"],),
    )
    assert "status 400" in manage("events", "parked")
    assert "1 due again" in manage("events", "resend", row["subscription_id"], "--why", "mended")
    manage("events", "unsubscribe", row["subscription_id"], "--why", "moved")
    assert "crm.example.com" not in manage("events", "list")
    assert "no subscription" in manage("events", "unsubscribe", row["subscription_id"], code=2)
    assert "callback: " in manage("events", "subscribe", "https://127.0.0.1/", code=2)
    told = owner.execute("SELECT what, why FROM staff_action ORDER BY at").fetchall()
    assert [(one["what"], one["why"]) for one in told] == [
        ("events.subscribe", "hub"),
        ("events.resend", "mended"),
        ("events.unsubscribe", "moved"),
    ]
