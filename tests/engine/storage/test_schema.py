"""The schema: what the models say is what the migrations make, and history cannot be rewritten."""

from __future__ import annotations

import uuid
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext

import engine.api  # noqa: F401 - hangs every table on the metadata
from engine.storage.database import MIGRATIONS, driver_url, migrate
from engine.storage.schema import APPLICATION_ROLE, metadata
from settings import SettingsError


def _is_model(_object: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
    strange = name is not None and ("_p20" in name or name.endswith("_rest") or name == "alembic_version")
    return not (kind == "table" and strange)


def _back_to(owner_url: str, version: str) -> None:
    """As an installation stands that was made before."""
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = driver_url(owner_url)
    command.downgrade(config, version)


def test_a_database_that_cannot_hold_every_language_is_refused_by_name(empty_database_url: str) -> None:
    with psycopg.connect(empty_database_url, autocommit=True) as connection:
        connection.execute("CREATE DATABASE ascii ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0")
    try:
        with pytest.raises(SettingsError, match="encoding is SQL_ASCII"):
            migrate(str(driver_url(empty_database_url).set(database="ascii").render_as_string(hide_password=False)))
    finally:
        with psycopg.connect(empty_database_url, autocommit=True) as connection:
            connection.execute("DROP DATABASE ascii")


def test_models_and_migrations_are_equal(database_url: str) -> None:
    database = sa.create_engine(driver_url(database_url))
    with database.connect() as connection:
        options = {"compare_type": True, "compare_server_default": True, "include_object": _is_model}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []
        # Autogenerate does not look at checks: compare them by name.
        inspector = sa.inspect(connection)
        found = {check["name"] for table in metadata.tables for check in inspector.get_check_constraints(table)}
    database.dispose()
    checks = sa.CheckConstraint
    declared = {
        f"ck_{table.name}_{constraint.name}" if "ck_" not in str(constraint.name) else str(constraint.name)
        for table in metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, checks)
    }
    assert found == declared


def test_migrating_twice_changes_nothing(empty_database_url: str) -> None:
    made = "SELECT table_name, column_name, data_type, column_default FROM information_schema.columns"
    rights = "SELECT table_name, privilege_type, grantee FROM information_schema.role_table_grants"
    found = []
    for _ in range(2):
        migrate(empty_database_url)
        with psycopg.connect(empty_database_url) as owner:
            found.append([sorted(map(str, owner.execute(one).fetchall())) for one in (made, rights)])
    assert found[0] == found[1]


def test_the_application_owns_nothing(database_url: str) -> None:
    with psycopg.connect(database_url) as owner:
        owned = owner.execute(
            "SELECT count(*) FROM pg_class WHERE relowner = %s::regrole", [APPLICATION_ROLE]
        ).fetchone()
    assert owned == (0,)


@pytest.mark.parametrize("table", ["operation", "transfer", "batch_total", "guard_event", "product"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET {} = {}", "DELETE FROM {}", "TRUNCATE {}"])
def test_the_application_cannot_rewrite_history(database_url: str, table: str, statement: str) -> None:
    column = next(iter(metadata.tables[table].columns)).name
    with psycopg.connect(database_url, options=f"-c role={APPLICATION_ROLE}") as application:
        assert application.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            application.execute(statement.format(table, column, column))


def test_a_change_of_what_a_bucket_holds_writes_no_index_anew(owner: psycopg.Connection[Any]) -> None:
    owner.execute("SET session_replication_role = replica")
    owner.execute(
        "INSERT INTO bucket (shard, account_id, bucket_id, unit, product, initial, amount, priority, starts_at,"
        " expires_at) VALUES (0, gen_random_uuid(), gen_random_uuid(), 'octets', 'data', 9, 9, 1, now(),"
        " now() + interval '1 day')"
    )
    with owner.transaction():
        owner.execute("UPDATE bucket SET amount = amount - 1, reserved = 1")
        heap_only = owner.execute(
            "SELECT n_tup_hot_upd FROM pg_stat_xact_user_tables WHERE relname = 'bucket'"
        ).fetchone()
    assert heap_only == (1,)


def test_next_months_partitions_are_made_by_the_application(database_url: str) -> None:
    with psycopg.connect(database_url, options=f"-c role={APPLICATION_ROLE}", autocommit=True) as application:
        assert application.execute("SELECT ensure_partitions(3)").fetchone() == (0,)
        assert application.execute("SELECT ensure_partitions(5)").fetchone() == (8,)


def test_an_owner_that_is_no_superuser_may_migrate_and_take_the_role(
    _admin: psycopg.Connection[Any],  # noqa: PT019 - its value is used
    postgres_url: str,
) -> None:
    name = f"rasid_owner_{uuid.uuid4().hex[:8]}"
    _admin.execute(f"CREATE ROLE {name} LOGIN CREATEROLE PASSWORD 'owner'")
    # The role is the server's and other databases' owners made it: this one is handed it by its admin.
    _admin.execute(f"GRANT {APPLICATION_ROLE} TO {name} WITH ADMIN OPTION")
    _admin.execute(f"CREATE DATABASE {name} OWNER {name} TEMPLATE template0")
    url = sa.make_url(postgres_url).set(username=name, password="owner", database=name)
    try:
        migrate(url.render_as_string(hide_password=False))
        with psycopg.connect(url.render_as_string(hide_password=False), options=f"-c role={APPLICATION_ROLE}") as taken:
            assert taken.execute("SELECT count(*) FROM operation").fetchone() == (0,)
    finally:
        _admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        _admin.execute(f"DROP OWNED BY {name}")
        _admin.execute(f"DROP ROLE {name}")


def test_a_queue_that_nobody_takes_from_any_more_is_ended_with_what_waits_in_it(empty_database_url: str) -> None:
    migrate(empty_database_url)
    ours, others = uuid.uuid4(), uuid.uuid4()
    _back_to(empty_database_url, "0019")
    with psycopg.connect(empty_database_url, autocommit=True) as owner:
        for queue, callback in ((ours, "internal:nchf-reauthorization"), (others, "https://billing.example")):
            owner.execute(
                "INSERT INTO subscription (subscription_id, callback, query, topics, key_id, sealed_secret, made_by,"
                " made_at) VALUES (%s, %s, '', '{}', 1, '', 'test', now())",
                (queue, callback),
            )
            owner.execute(
                "INSERT INTO event_delivery (shard, account_id, subscription_id, event_id, state, attempts, due_at,"
                " made_at) VALUES (0, %s, %s, %s, 'due', 0, now(), now())",
                (uuid.uuid4(), queue, uuid.uuid4()),
            )
    migrate(empty_database_url)
    with psycopg.connect(empty_database_url) as owner:
        standing = "SELECT subscription_id, ended_at IS NULL, state FROM subscription JOIN event_delivery USING"
        found = owner.execute(f"{standing} (subscription_id)".encode()).fetchall()
    assert {row[0]: row[1:] for row in found} == {ours: (False, "dropped"), others: (True, "due")}
