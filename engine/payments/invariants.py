"""What must always hold of payments: credited whole or not at all, and nothing that a gateway took is lost.

What the receivables ledger and the payment history say of them is compared in ``engine.books.comparisons``.
"""

from __future__ import annotations

from engine.books.checks import Check
from engine.books.sheets import Book

# A payment that came to be refunded or charged back may have been credited before, or never.
_SETTLED = """
    WITH credited AS (
        SELECT shard, account_id, CAST(answer->'details'->>'payment_id' AS uuid) AS payment_id, count(*) AS operations,
               sum(CAST(answer->'details'->>'amount' AS bigint)) AS amount
        FROM operation WHERE kind = 'settle' AND code = 'ok' AND $touched GROUP BY shard, account_id, payment_id
    ), stood AS (
        SELECT shard, account_id, payment_id, state, amount FROM payment WHERE $touched
    )
    SELECT shard, account_id, concat_ws(' ', 'payment', payment_id), concat_ws(' ', stood.state, stood.amount),
           concat_ws(' ', coalesce(operations, 0), 'ok settle', credited.amount)
    FROM stood FULL JOIN credited USING (shard, account_id, payment_id)
    WHERE stood.state IS NULL OR credited.amount <> stood.amount OR coalesce(operations, 0) > 1
       OR (stood.state = 'settled') <> (operations IS NOT NULL)
          AND NOT (stood.state IN ('refunding', 'refunded', 'charged_back'))
"""

_SETTLED_WHOLE = """
    WITH credited AS (
        SELECT shard, account_id, key, line_id, CAST(answer->'details'->>'amount' AS bigint) AS amount
        FROM operation WHERE kind = 'settle' AND code = 'ok' AND $recent
    ), told AS (
        SELECT c.*, coalesce(t.amount, 0) AS moved, CAST(r.body->>'amount' AS bigint) AS receipt,
               EXISTS (SELECT FROM outbox m WHERE m.shard = c.shard AND m.account_id = c.account_id
                       AND m.operation_key = c.key) AS message
        FROM credited c
        LEFT JOIN (SELECT shard, account_id, key, sum(amount) AS amount FROM transfer
                   WHERE debit = 'gateway' AND credit = 'balance' AND $recent GROUP BY shard, account_id, key) t
             USING (shard, account_id, key)
        LEFT JOIN receipt r ON r.shard = c.shard AND r.account_id = c.account_id AND r.key = c.key
    )
    SELECT shard, account_id, concat_ws(' ', 'settle', key), concat(amount, ' moved, on the receipt, and told'),
           concat_ws(' ', moved, 'moved,', coalesce(receipt, 0), 'on the receipt,', message, 'told')
    FROM told WHERE moved <> amount OR receipt IS DISTINCT FROM amount OR (line_id IS NOT NULL AND NOT message)
"""

# What was taken is credited, goes back, or has somebody who will see to it.
_CAPTURED_ACCOUNTED = """
    SELECT shard, account_id, concat_ws(' ', gateway, 'payment', payment_id), 'credited, given back or looked at',
           concat_ws(' ', state, reason)
    FROM payment
    WHERE $touched AND captured IS NOT NULL
      AND (state NOT IN ('captured', 'settled', 'refunding', 'refunded', 'charged_back')
           OR state = 'captured' AND next_check_at IS NULL)
"""

_PAYMENT_ENDS = """
    SELECT shard, account_id, concat_ws(' ', gateway, 'payment', payment_id), 'somebody looks at it', state
    FROM payment
    WHERE $touched AND next_check_at IS NULL
      AND (state IN ('created', 'review', 'requested', 'pending', 'unknown', 'held', 'captured')
           OR state = 'refunding' AND coalesce(reason, '') NOT IN ('refund_refused', 'return_failed'))
"""

_OWED_BACK = """
    SELECT shard, account_id, concat_ws(' ', counterparty, 'payment', document_id), 'no less than nothing',
           sum(CASE WHEN credit = 'unapplied' THEN amount ELSE -amount END)
    FROM receivable WHERE 'unapplied' IN (debit, credit)
    GROUP BY shard, account_id, counterparty, document_id, currency
    HAVING sum(CASE WHEN credit = 'unapplied' THEN amount ELSE -amount END) < 0
"""

CHECKS = (
    Check("payment_settled", "a payment is settled exactly if one ok settle credited its amount", _SETTLED),
    Check("settled_whole", "what is settled was moved, is on a receipt, and was told", _SETTLED_WHOLE),
    Check("captured_accounted", "money that a gateway took is credited, given back, or seen to", _CAPTURED_ACCOUNTED),
    Check("payment_ends", "a payment that has not ended is looked at again", _PAYMENT_ENDS),
    Check("owed_back", "no payer is given back more than was set aside", _OWED_BACK, Book.RECEIVABLES),
)
