"""The operator's commands where the books live in databases of their own."""

from __future__ import annotations

import json
import time
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest

from commands import doctor as doctor_command
from engine.books.recovery import GRACE
from tests.engine.books.apart import database_of

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def history_url(empty_database_url, postgres_url):
    """A second empty database."""
    name = f"rasid_history_{uuid4().hex[:12]}"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
        yield database_of(postgres_url, name)
        admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture
def database_url(empty_database_url):
    """Billing's database is one that was never migrated."""
    return empty_database_url


@pytest.fixture
def environment(environment, history_url):
    """With the payment history elsewhere."""
    return environment | {"RASID_BOOKS": json.dumps({"history": history_url})}


@pytest.fixture
def manage(program):
    """Runs a command line; returns exit code and everything printed."""

    def run(*arguments):
        done = program(*arguments)
        return done.exit_code, done.output

    return run


def may_insert(url, table):
    with psycopg.connect(url) as owner:
        row = owner.execute("SELECT has_table_privilege('rasid_app', %s, 'INSERT')", [table]).fetchone()
        return row is not None and row[0]


def test_one_command_migrates_every_database_and_says_where_each_book_is_written(
    manage, empty_database_url, history_url
):
    done = (0, "the schema is that of this version\n")
    assert manage("migrate") == done
    assert may_insert(history_url, "payment_history") and not may_insert(empty_database_url, "payment_history")
    assert may_insert(empty_database_url, "receivable") and not may_insert(history_url, "receivable")
    assert manage("migrate") == done


def test_the_doctor_shows_what_is_prepared_and_names_orphans(manage, history_url, monkeypatch):
    assert manage("migrate")[0] == 0
    name = f"rasid.{uuid4().hex}.history"
    with psycopg.connect(history_url, autocommit=True, options="-c role=rasid_app") as application:
        application.execute(b"BEGIN")
        application.execute(f"PREPARE TRANSACTION '{name}'".encode())
        code, said = manage("doctor", "--by", "amina")
        assert code == 0 and name in said and "not yet" in said
        monkeypatch.setattr(doctor_command, "ORPHANED", 0.0)
        code, said = manage("doctor", "--by", "amina")
        assert code == 1 and "1 orphaned" in said
        time.sleep(GRACE)
        code, said = manage("doctor", "--recover", "--by", "amina", "--why", "no bot today")
        assert code == 0 and "1 part(s) of batches finished" in said
        assert application.execute("SELECT count(*) FROM pg_prepared_xacts WHERE gid = %s", [name]).fetchone() == (0,)
