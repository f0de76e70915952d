"""The statements of a run: a settlement file and the books side by side, matched as sets in temporary tables."""

from __future__ import annotations

from engine.recharge.gateways.contract import GatewayState
from engine.reconciliation.rules import NOT_STATED, TOLD_TWICE, WON
from engine.reconciliation.tables import Kind, Resolution, State

TEMPORARY = """
    CREATE TEMP TABLE stated (gateway_ref text COLLATE "C", payment_id uuid, state text, amount bigint, currency text,
        fee bigint, at timestamptz, sealed bytea);
    CREATE TEMP TABLE told (name text COLLATE "C", payment_id uuid, amount bigint, currency text, at timestamptz,
        day date, k integer, n integer, earlier bigint);
    CREATE TEMP TABLE ours (shard smallint, account_id uuid, payment_id uuid, name text COLLATE "C", paid boolean,
        amount bigint, currency text, booked_at timestamptz, k integer, n integer, upto bigint);
    CREATE TEMP TABLE matched (name text COLLATE "C", paid boolean, day date, k integer,
        stated bigint, stated_currency text, stated_at timestamptz, shard smallint, account_id uuid, payment_id uuid,
        booked bigint, booked_currency text, booked_at timestamptz);
    CREATE TEMP TABLE alone (place bigint GENERATED ALWAYS AS IDENTITY, name text COLLATE "C", payment_id uuid,
        amount bigint, currency text, at timestamptz, day date, undone boolean, sealed bytea, k integer,
        earlier bigint, last boolean);
    CREATE TEMP TABLE found (discrepancy_id uuid, day date, kind text, reason text, name text COLLATE "C",
        paid boolean, shard smallint, account_id uuid, payment_id uuid,
        stated bigint, stated_currency text, stated_at timestamptz,
        booked bigint, booked_currency text, booked_at timestamptz, exact boolean, sealed bytea)"""

TABLES = ("stated", "told", "ours", "matched", "alone", "found")

# What a corrected file says of a movement replaces what was said before; the day stays that of the first.
KEEP = """
    INSERT INTO settlement_row (gateway, gateway_ref, state, at, nth, payment_id, amount, currency, fee, day, run_id)
    SELECT %(gateway)s, gateway_ref, state, at,
           row_number() OVER (PARTITION BY gateway_ref, state, at ORDER BY amount, currency, fee),
           payment_id, amount, currency, fee,
           least(greatest((at AT TIME ZONE %(zone)s)::date, %(first)s::date), %(last)s::date), %(run_id)s
    FROM stated
    ON CONFLICT (gateway, gateway_ref, state, at, nth) DO UPDATE
    SET payment_id = excluded.payment_id, amount = excluded.amount, currency = excluded.currency, fee = excluded.fee,
        run_id = excluded.run_id
    WHERE (settlement_row.payment_id, settlement_row.amount, settlement_row.currency, settlement_row.fee)
          IS DISTINCT FROM (excluded.payment_id, excluded.amount, excluded.currency::char(3), excluded.fee)"""

# What was won back of a bank is money in like the payment itself, once more: it has a name of its own.
TELL = f"""
    INSERT INTO told
    SELECT CASE WHEN r.state = '{GatewayState.REINSTATED}' THEN r.gateway_ref || '{WON}' ELSE r.gateway_ref END,
           r.payment_id, r.amount, r.currency, r.at, r.day,
           row_number() OVER (PARTITION BY r.gateway_ref, r.amount > 0, r.state = '{GatewayState.REINSTATED}'
                              ORDER BY r.at, r.nth, r.state), 1, 0
    FROM (SELECT gateway_ref FROM stated
          UNION SELECT gateway_ref FROM settlement_row
                WHERE gateway = %(gateway)s AND day BETWEEN %(first)s AND %(last)s) refs
    JOIN settlement_row r ON r.gateway = %(gateway)s AND r.gateway_ref = refs.gateway_ref"""

# Of what went back in parts: how many are told of the payment, and how much of it before each.
TELL_PARTS = """
    UPDATE told t SET n = p.n, earlier = p.earlier
    FROM (SELECT name, k, count(*) OVER (PARTITION BY name) AS n, sum(-amount) OVER (PARTITION BY name ORDER BY k)
                 + amount AS earlier
          FROM told WHERE amount < 0) p
    WHERE p.n > 1 AND t.name = p.name AND t.k = p.k AND t.amount < 0"""

#: The bookings of a gateway around the statement's days, as the payment history has them.
BOOKED = f"""
    SELECT shard, account_id, payment_id, name, paid, CASE WHEN paid THEN amount ELSE -amount END, currency, booked_at,
           row_number() OVER (PARTITION BY name, paid ORDER BY booked_at, payment_id), 1, amount
    FROM (SELECT *, (coalesce(gateway_ref, payment_id::text) || CASE event WHEN 'restored' THEN '{WON}' ELSE '' END)
                    COLLATE "C" AS name,
                 event IN ('settled', 'set_aside', 'restored') AS paid
          FROM payment_history
          WHERE gateway = %(gateway)s AND event <> 'reversed'
            AND booked_at >= %(begins)s - %(around)s AND booked_at < %(ends)s + %(around)s) history"""

# How many parts were booked of a payment, and how much up to each.
BOOKED_PARTS = """
    UPDATE ours o SET n = p.n, upto = p.upto
    FROM (SELECT name, k, count(*) OVER (PARTITION BY name) AS n, sum(-amount) OVER (PARTITION BY name ORDER BY k)
                 AS upto
          FROM ours WHERE NOT paid) p
    WHERE p.n > 1 AND o.name = p.name AND o.k = p.k AND NOT o.paid"""

# A payment is paid once. What goes back may do so in parts: where it is not simply one of each, it is judged alone.
MATCH = """
    INSERT INTO matched
    SELECT t.name, t.amount > 0, t.day, t.k, t.amount, t.currency, t.at, o.shard, o.account_id, o.payment_id, o.amount,
           o.currency, o.booked_at
    FROM told t JOIN ours o ON o.name = t.name AND o.paid = (t.amount > 0) AND o.k = 1
    WHERE t.k = 1 AND (t.amount > 0 OR t.n = 1 AND o.n = 1 AND o.amount = t.amount)"""

ALONE = """
    INSERT INTO alone (name, payment_id, amount, currency, at, day, undone, sealed, k, earlier, last)
    WITH rest AS (
        SELECT t.* FROM told t WHERE (t.k = 1 OR t.amount < 0)
        AND NOT EXISTS (SELECT FROM matched m WHERE m.name = t.name AND m.paid = (t.amount > 0))
    )
    SELECT r.name, r.payment_id, r.amount, r.currency, r.at, r.day,
           EXISTS (SELECT FROM rest b WHERE b.name = r.name AND b.amount = -r.amount AND b.currency = r.currency),
           s.sealed, r.k, r.earlier, r.k = r.n
    FROM rest r
    LEFT JOIN (SELECT DISTINCT ON (gateway_ref) gateway_ref, sealed FROM stated WHERE sealed IS NOT NULL
               ORDER BY gateway_ref, sealed) s ON s.gateway_ref = r.name"""

#: (place, name, payment_id, amount, currency, at, day, undone, sealed, k, earlier, last)
PAGE = """
    SELECT place, name, payment_id, amount, currency, at, day, undone, sealed, k, earlier, last FROM alone
    WHERE place > %s ORDER BY place LIMIT %s"""

#: One matter keeps its id: a movement by its place among those of its reference, a booking that is not stated by that.
ID = "md5(concat_ws('|', %(gateway)s::text, {name}, {paid}, {tag}))::uuid"

FIND_COMPARED = f"""
    INSERT INTO found
    SELECT {ID.format(name="name", paid="paid", tag="k")}, day,
           CASE WHEN stated_currency <> booked_currency THEN '{Kind.CURRENCY}'
                WHEN stated <> booked THEN '{Kind.AMOUNT}' ELSE '{Kind.TIMING}' END,
           'settled', name, paid, shard, account_id, payment_id, stated, stated_currency, stated_at,
           booked, booked_currency, booked_at, FALSE, NULL
    FROM matched
    WHERE stated_currency <> booked_currency OR stated <> booked
       OR abs(extract(epoch FROM booked_at - stated_at)) > extract(epoch FROM %(late)s::interval)"""

FIND_AGAIN = f"""
    INSERT INTO found
    SELECT {ID.format(name="t.name", paid="t.amount > 0", tag="t.k")}, t.day, '{Kind.DUPLICATE}', '{TOLD_TWICE}',
           t.name, t.amount > 0, m.shard, m.account_id, coalesce(m.payment_id, t.payment_id),
           t.amount, t.currency, t.at, 0, NULL, NULL, FALSE, NULL
    FROM told t LEFT JOIN matched m ON m.name = t.name AND m.paid
    WHERE t.k > 1 AND t.amount > 0"""

_TAG_UNSTATED = """CASE WHEN o.k > 1 AND o.paid THEN o.payment_id::text
                       WHEN o.n > 1 AND NOT o.paid THEN concat('unstated ', extract(epoch FROM o.booked_at))
                       ELSE 'unstated' END"""

_UNSTATED = f"""
    SELECT {ID.format(name="o.name", paid="o.paid", tag=_TAG_UNSTATED)},
           (o.booked_at AT TIME ZONE %(zone)s)::date,
           CASE WHEN o.k > 1 AND o.paid THEN '{Kind.DUPLICATE}'
                WHEN least(o.booked_at - %(begins)s, %(ends)s - o.booked_at, %(now)s - o.booked_at) < %(edge)s
                THEN '{Kind.TIMING}' ELSE '{Kind.MISSING_AT_GATEWAY}' END,
           CASE WHEN o.k > 1 AND o.paid THEN 'booked_twice' ELSE '{NOT_STATED}' END,
           o.name, o.paid, o.shard, o.account_id, o.payment_id, 0, NULL::text, NULL::timestamptz,
           o.amount, o.currency, o.booked_at, FALSE, NULL::bytea
    FROM ours o"""

# Of what went back in parts the statements have said less than was booked up to one of them.
FIND_UNSTATED = f"""
    INSERT INTO found
    {_UNSTATED}
    WHERE o.paid AND o.booked_at >= %(begins)s AND o.booked_at < %(ends)s
      AND NOT EXISTS (SELECT FROM matched m WHERE m.payment_id = o.payment_id AND m.paid)
      AND (o.k > 1 OR NOT EXISTS (SELECT FROM settlement_row r
                                  WHERE r.gateway = %(gateway)s AND r.gateway_ref = o.name AND r.amount > 0))
    UNION ALL
    {_UNSTATED}
    LEFT JOIN (SELECT payment_id, -sum(booked) AS covered FROM matched WHERE NOT paid GROUP BY payment_id) m
              ON m.payment_id = o.payment_id
    WHERE NOT o.paid AND o.booked_at >= %(begins)s AND o.booked_at < %(ends)s AND o.upto > coalesce(m.covered, 0)
      AND o.upto > coalesce((SELECT -sum(r.amount) FROM settlement_row r
                             WHERE r.gateway = %(gateway)s AND r.gateway_ref = o.name AND r.amount < 0), 0)"""

# What staff has decided stays decided; what had cleared and is there again is open again.
MERGE = f"""
    INSERT INTO discrepancy AS d (discrepancy_id, gateway, day, kind, reason, name, paid, shard, account_id, payment_id,
        stated, stated_currency, stated_at, booked, booked_currency, booked_at, exact, sealed_account, live,
        counted, state, run_id, found_at, changed_at)
    SELECT DISTINCT ON (discrepancy_id) discrepancy_id, %(gateway)s, day, kind, reason, name, paid, shard, account_id,
           payment_id, stated, stated_currency, stated_at, booked, booked_currency, booked_at, exact, sealed, TRUE,
           %(counted)s, '{State.OPEN}', %(run_id)s, %(now)s, %(now)s
    FROM found
    ON CONFLICT (discrepancy_id) DO UPDATE
    SET kind = excluded.kind, reason = excluded.reason, shard = excluded.shard, account_id = excluded.account_id,
        payment_id = excluded.payment_id, stated = excluded.stated, stated_currency = excluded.stated_currency,
        stated_at = excluded.stated_at, booked = excluded.booked, booked_currency = excluded.booked_currency,
        booked_at = excluded.booked_at, exact = excluded.exact,
        sealed_account = coalesce(d.sealed_account, excluded.sealed_account), live = TRUE,
        counted = d.counted OR excluded.counted,
        state = CASE WHEN d.resolution = '{Resolution.CLEARED}' THEN '{State.OPEN}' ELSE d.state END,
        resolution = CASE WHEN d.resolution = '{Resolution.CLEARED}' THEN NULL ELSE d.resolution END,
        run_id = excluded.run_id, changed_at = excluded.changed_at
    WHERE (d.kind, d.reason, d.payment_id, d.stated, d.stated_currency, d.booked, d.booked_currency, d.exact, d.live,
           d.counted)
          IS DISTINCT FROM
          (excluded.kind, excluded.reason, excluded.payment_id, excluded.stated, excluded.stated_currency,
           excluded.booked, excluded.booked_currency, excluded.exact, TRUE, d.counted OR excluded.counted)
    RETURNING d.discrepancy_id, d.kind"""

# What a statement has, or has not, no answer to a question makes otherwise.
CLEAR = f"""
    UPDATE discrepancy d
    SET live = FALSE, changed_at = %(now)s, run_id = %(run_id)s,
        state = '{State.RESOLVED}', resolution = coalesce(d.resolution, '{Resolution.CLEARED}')
    WHERE d.gateway = %(gateway)s AND d.live AND (%(counted)s OR NOT d.counted)
      AND NOT EXISTS (SELECT FROM found f WHERE f.discrepancy_id = d.discrepancy_id)
      AND (EXISTS (SELECT FROM told t WHERE t.name = d.name)
           OR EXISTS (SELECT FROM matched m WHERE m.payment_id = d.payment_id AND m.paid = d.paid)
           OR EXISTS (SELECT FROM ours o
                      WHERE o.name = d.name AND o.booked_at >= %(begins)s AND o.booked_at < %(ends)s))
    RETURNING d.discrepancy_id"""

FIGURES = """
    INSERT INTO reconciliation_figure AS f (gateway, day, currency, rows, captured, fees, settled, run_id, computed_at)
    SELECT %(gateway)s, day, currency, sum(rows), sum(captured), sum(fees), sum(settled), %(run_id)s, %(now)s
    FROM (
        SELECT day, currency, count(*) AS rows, sum(amount) AS captured, sum(fee) AS fees, 0 AS settled
        FROM settlement_row WHERE gateway = %(gateway)s AND day BETWEEN %(first)s AND %(last)s GROUP BY day, currency
        UNION ALL
        SELECT day, booked_currency, 0, 0, 0, sum(booked) FROM matched
        WHERE day BETWEEN %(first)s AND %(last)s GROUP BY day, booked_currency
        UNION ALL
        SELECT day, booked_currency, 0, 0, 0, sum(booked) FROM found
        WHERE stated_at IS NULL AND booked_currency IS NOT NULL AND day BETWEEN %(first)s AND %(last)s
        GROUP BY day, booked_currency
    ) parts
    GROUP BY day, currency
    ON CONFLICT (gateway, day, currency) DO UPDATE
    SET rows = excluded.rows, captured = excluded.captured, fees = excluded.fees, settled = excluded.settled,
        run_id = excluded.run_id, computed_at = excluded.computed_at
    WHERE (f.rows, f.captured, f.fees, f.settled)
          IS DISTINCT FROM (excluded.rows, excluded.captured, excluded.fees, excluded.settled)"""

CHANGED = """
    INSERT INTO discrepancy_change (discrepancy_id, change_id, what, by, why, at)
    SELECT one, gen_random_uuid(), %(what)s, %(by)s, %(why)s, %(now)s FROM unnest(%(ids)s::uuid[]) AS one"""

#: The figures of days that a run only touched: what their statements say now, less what is open or explained of it.
REFIGURE = """
    UPDATE reconciliation_figure f
    SET rows = stated.rows, captured = stated.captured, fees = stated.fees,
        settled = stated.captured - coalesce(differ.amount, 0), computed_at = %(now)s
    FROM (
        SELECT g.day, g.currency, count(r.amount) AS rows, coalesce(sum(r.amount), 0) AS captured,
               coalesce(sum(r.fee), 0) AS fees
        FROM reconciliation_figure g
        LEFT JOIN settlement_row r ON r.gateway = g.gateway AND r.day = g.day AND r.currency = g.currency
        WHERE g.gateway = %(gateway)s AND g.day = ANY(%(days)s::date[]) GROUP BY g.day, g.currency
    ) stated
    LEFT JOIN (
        SELECT day, currency, sum(amount) AS amount
        FROM (SELECT day, stated_currency AS currency, stated AS amount FROM discrepancy
              WHERE gateway = %(gateway)s AND day = ANY(%(days)s::date[]) AND live AND counted
              UNION ALL
              SELECT day, booked_currency, -booked FROM discrepancy
              WHERE gateway = %(gateway)s AND day = ANY(%(days)s::date[]) AND live AND counted) parts
        GROUP BY day, currency
    ) differ USING (day, currency)
    WHERE f.gateway = %(gateway)s AND f.day = stated.day AND f.currency = stated.currency"""

#: The days that a run has touched beside its own.
TOUCHED = """
    SELECT DISTINCT day FROM (SELECT day FROM told
                              UNION ALL SELECT day FROM discrepancy WHERE run_id = %(run_id)s) days
    WHERE day IS NOT NULL AND (NOT %(counted)s OR day NOT BETWEEN %(first)s AND %(last)s)"""
