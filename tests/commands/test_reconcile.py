"""Finance's commands, run as a person runs them: reconcile a file, follow what differs, read the ledger."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import psycopg
import pytest

from engine.api import open_engine
from tests.engine.payers import settled
from tests.engine.reconciliation.files import HEADER, row
from tests.engine.shop import open_line

ROOT = Path(__file__).resolve().parents[2]
GATEWAY = {
    "adapter": "sandbox",
    "options": {"base_url": "http://127.0.0.1:9", "api_key": "key", "webhook_secrets": ["secret" * 4]},
}


@pytest.fixture
def environment(environment):
    """With a gateway."""
    return environment | {"RASID_PAYMENT_GATEWAYS": json.dumps({"sandbox": GATEWAY})}


@pytest.fixture
def paid(database_url, operator, keyring):
    """A settled payment of 50 shillings: its line's number, and its line of a file."""

    async def pay():
        engine = await open_engine(database_url, operator, keyring)
        try:
            line = await open_line(engine)
            with psycopg.connect(database_url, autocommit=True) as owner:
                await settled(engine, owner, line)
                booked = datetime.now(UTC) - timedelta(days=1)
                [(ref,)] = owner.execute(
                    "UPDATE payment_history SET booked_at = %s RETURNING gateway_ref", (noon(booked),)
                ).fetchall()
                return line.msisdn, row(ref, 5_000, at=noon(booked))
        finally:
            await engine.close()

    return asyncio.run(pay())


def noon(at: datetime) -> datetime:
    """Noon in Nairobi on that day."""
    return at.astimezone(ZoneInfo("Africa/Nairobi")).replace(hour=12, minute=0, second=0, microsecond=0)


@pytest.fixture
def file(tmp_path):
    """Writes a settlement file of these lines."""

    def write(*lines):
        path = tmp_path / "settlement.csv"
        path.write_text("\n".join([HEADER, *lines]) + "\n")
        return path

    return write


def test_a_file_that_is_right_leaves_nothing_to_do(manage, paid, file):
    said = manage("reconcile", "sandbox", file(paid[1]))
    assert "1 rows, 0 broken, 0 discrepancies" in said
    assert "50.00 KES" in said
    assert "0.00 KES" in manage("reconcile", "figures")


def test_what_differs_is_found_given_to_somebody_and_ended(manage, paid, file, tmp_path):
    wrong = paid[1].replace("5000", "4000")
    page, sheet = tmp_path / "report.html", tmp_path / "report.csv"
    said = manage("reconcile", "sandbox", file(wrong, "broken"), "--html", page, "--csv", sheet, code=1)
    assert "1 rows, 1 broken, 1 discrepancies" in said
    assert "line 3: 1 columns, not 8" in said
    assert "amount" in page.read_text()
    [one] = csv.DictReader(io.StringIO(sheet.read_text()))
    assert (one["kind"], one["stated"], one["booked"]) == ("amount", "40.00", "50.00")
    number = one["id"][:8]
    manage("reconcile", "assign", number, "bob", "--why", "his gateway")
    assert "bob" in manage("reconcile", "list")
    manage("reconcile", "resolve", number, "explained", "--reason", "a fee")
    assert number not in manage("reconcile", "list")
    shown = manage("reconcile", "show", number)
    assert all(word in shown for word in ("assigned:bob", "resolved:explained", "amina", "a fee"))
    assert "settlement.csv" in manage("reconcile", "runs")


def test_what_cannot_be_done_is_said_in_a_sentence(manage, paid, file):
    assert "no gateway nobody in the settings: there are sandbox" in manage("reconcile", "nobody", file(), code=2)
    assert "no line of the file can be read" in manage("reconcile", "sandbox", file(), code=2)
    assert "--until needs --day" in manage("reconcile", "sandbox", file(), "--until", "2026-01-01", code=2)
    assert "does not exist" in manage("reconcile", "sandbox", "nothing.csv", code=2)
    assert "no discrepancy begins with ffffff" in manage("reconcile", "show", "ffffff", code=2)


def test_a_gateway_that_does_not_answer_leaves_its_payments_to_be_asked_again(manage, paid):
    today = datetime.now(ZoneInfo("Africa/Nairobi")).date()
    said = manage("reconcile", "ask", "sandbox", "--day", today, code=1)
    assert "1 rows, 0 broken, 0 discrepancies, 0 credited, 1 not answered" in said


def test_the_trial_balance_is_even(manage, paid):
    rows = list(csv.DictReader(io.StringIO(manage("ledger", "trial-balance", "--csv"))))
    assert {(one["book"], one["account"]): one["balance"] for one in rows} == {
        ("balances", "balance"): "-5000",
        ("balances", "gateway"): "5000",
        ("receivables", "advance"): "-5000",
        ("receivables", "gateway"): "5000",
    }
    assert "50.00 KES" in manage("ledger", "trial-balance")
    assert "gateway" not in manage("ledger", "trial-balance", "--until", "2020-01-01")


def test_a_trial_balance_that_is_uneven_says_so(manage, paid, database_url):
    with psycopg.connect(database_url, autocommit=True) as owner:
        owner.execute("UPDATE batch_total SET debits = debits + 1 WHERE ledger = 'gateway'")
    assert "balances: debits and credits of KES differ" in manage("ledger", "trial-balance", code=1)


def test_a_statement_is_found_by_number_and_by_account(manage, paid, database_url):
    said = manage("ledger", "statement", paid[0])
    assert all(word in said for word in ("settle", "gateway", "50.00 KES after"))
    with psycopg.connect(database_url) as owner:
        [(account,)] = owner.execute("SELECT DISTINCT account_id FROM transfer").fetchall()
    assert manage("ledger", "statement", account) == said
    assert "no line has this number" in manage("ledger", "statement", "+254799999999", code=2)


def test_receivables_tell_what_gateways_owe(manage, paid):
    said = manage("ledger", "receivables")
    assert "sandbox" in said and "50.00 KES" in said


def test_the_journal_of_a_day_is_a_file_of_every_entry(manage, paid, tmp_path):
    today = datetime.now(ZoneInfo("Africa/Nairobi")).date()
    out = tmp_path / "journal.csv"
    manage("ledger", "journal", today, "--out", out)
    rows = list(csv.DictReader(io.StringIO(out.read_text())))
    assert {(one["book"], one["debit"], one["credit"], one["amount"], one["unit"]) for one in rows} == {
        ("balances", "gateway", "balance", "5000", "KES"),
        ("receivables", "gateway", "advance", "5000", "KES"),
    }
    assert manage("ledger", "journal", today).splitlines()[1:] == out.read_text().splitlines()[1:]
    assert "until" in manage("ledger", "journal", today, "--until", "2020-01-01", code=2)
    assert not list(tmp_path.glob("*.partial"))
