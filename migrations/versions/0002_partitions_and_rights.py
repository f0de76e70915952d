"""Partitions by month for the books, room for updates in hot tables, and the role that owns nothing.

Revision: 0002, after 0001
"""

from __future__ import annotations

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ROLE = "rasid_app"

#: What the application may do beside reading. History can only be written, never rewritten.
RIGHTS = {
    "account": "INSERT, UPDATE",
    "line": "INSERT, UPDATE",
    "directory": "INSERT, DELETE",
    "bucket": "INSERT, UPDATE",
    "product": "INSERT",
    "voucher_batch": "INSERT, UPDATE",
    "voucher": "INSERT, UPDATE",
    "operation": "INSERT",
    "transfer": "INSERT",
    "batch_total": "INSERT",
    "outbox": "INSERT, UPDATE",
    "guard_event": "INSERT",
}

# Runs with its owner's rights, so that the application's schedule can make next month's partitions without owning
# anything. A default partition catches what no month covers: a late partition costs speed, never a booking.
ENSURE_PARTITIONS = """
CREATE FUNCTION ensure_partitions(months_ahead integer) RETURNS integer
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    parent text;
    month timestamp;
    this_month timestamp := date_trunc('month', now() AT TIME ZONE 'UTC');
    made integer := 0;
BEGIN
    PERFORM pg_advisory_xact_lock(724354);
    FOREACH parent IN ARRAY ARRAY['operation', 'transfer', 'batch_total'] LOOP
        FOR month IN SELECT generate_series(this_month, this_month + make_interval(months => months_ahead),
                                            interval '1 month') LOOP
            IF to_regclass(parent || to_char(month, '"_p"YYYYMM')) IS NULL THEN
                BEGIN
                    EXECUTE format('CREATE TABLE %I PARTITION OF %I FOR VALUES FROM (%L) TO (%L)',
                                   parent || to_char(month, '"_p"YYYYMM'), parent,
                                   month AT TIME ZONE 'UTC', (month + interval '1 month') AT TIME ZONE 'UTC');
                    made := made + 1;
                EXCEPTION WHEN check_violation THEN
                    -- Rows came before their partition and lie in the default one. That month stays there.
                    RAISE WARNING 'rows of % in %_rest: no partition made', to_char(month, 'YYYY-MM'), parent;
                END;
            END IF;
        END LOOP;
    END LOOP;
    RETURN made;
END $$
"""


def upgrade() -> None:
    """Apply."""
    # Room on the page for the next version of a row: a voucher is updated once in its life, a bucket all the time.
    for table, percent in (("bucket", 60), ("line", 80), ("account", 80), ("voucher", 50), ("outbox", 70)):
        op.execute(f"ALTER TABLE {table} SET (fillfactor = {percent})")
    for parent in ("operation", "transfer", "batch_total"):
        op.execute(f"CREATE TABLE {parent}_rest PARTITION OF {parent} DEFAULT")
    op.execute(ENSURE_PARTITIONS)
    op.execute("SELECT ensure_partitions(3)")
    # Roles belong to the whole server: another database of it may have made this one, even a moment ago.
    op.execute(
        f"""
        DO $$ BEGIN
            IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{ROLE}') THEN
                CREATE ROLE {ROLE} NOLOGIN;
            END IF;
        EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
        END $$
        """
    )
    # The owner must be able to take the role. From PostgreSQL 16 on, whoever made it may not by that alone.
    op.execute(
        f"""
        DO $$ BEGIN
            IF current_setting('server_version_num')::integer < 160000 THEN
                IF NOT pg_has_role('{ROLE}', 'MEMBER') THEN GRANT {ROLE} TO CURRENT_USER; END IF;
            ELSIF NOT pg_has_role('{ROLE}', 'SET') THEN
                EXECUTE 'GRANT {ROLE} TO CURRENT_USER WITH SET TRUE';
            END IF;
        END $$
        """
    )
    op.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    op.execute(f"GRANT USAGE ON SCHEMA public TO {ROLE}")
    for table, rights in RIGHTS.items():
        op.execute(f"GRANT SELECT, {rights} ON {table} TO {ROLE}")
    op.execute("REVOKE ALL ON FUNCTION ensure_partitions(integer) FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION ensure_partitions(integer) TO {ROLE}")


def downgrade() -> None:
    """Take back. The role stays: another database of the server may use it."""
    op.execute("DROP FUNCTION ensure_partitions(integer)")
    for table in RIGHTS:
        op.execute(f"REVOKE ALL ON {table} FROM {ROLE}")
    op.execute(f"REVOKE USAGE ON SCHEMA public FROM {ROLE}")
    for parent in ("operation", "transfer", "batch_total"):
        op.execute(f"DROP TABLE {parent}_rest")
