"""What the application may change of what payments leave behind, and what is forgotten in time."""

from __future__ import annotations

import psycopg
import pytest

from engine.payments import names
from engine.storage.schema import APPLICATION_ROLE
from engine.words import PaymentState
from runtime.keyring import Keyring
from tests.engine.payments.house import House


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE payment SET amount = 1",
        "UPDATE payment SET account_id = gen_random_uuid()",
        "UPDATE payment SET sealed_payer = NULL",
        "UPDATE gateway_event SET body = '{}'",
        "UPDATE gateway_event SET payload_hash = ''",
        "UPDATE event SET body = '{}'",
        "UPDATE bill SET amount = 1",
        "UPDATE payment_locator SET payment_id = gen_random_uuid()",
        "DELETE FROM gateway_event",
        "DELETE FROM payment_locator",
        "DELETE FROM settlement_row",
    ],
)
def test_what_was_asked_and_said_cannot_be_changed_by_the_application(database_url: str, statement: str) -> None:
    with (
        psycopg.connect(database_url, options=f"-c role={APPLICATION_ROLE}") as application,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        application.execute(statement)


def test_nothing_younger_than_a_month_can_be_forgotten(database_url: str) -> None:
    with psycopg.connect(database_url, options=f"-c role={APPLICATION_ROLE}") as application:
        for before in ("now()", "now() - interval '29 days'", "NULL"):
            with pytest.raises(psycopg.errors.RaiseException):
                application.execute(f"SELECT forget_payment_traces({before}, 10)")
            application.rollback()


async def test_traces_go_after_their_time_and_the_payment_stays_found_by_id_and_receipt(
    house: House, keyring: Keyring
) -> None:
    line = await house.line()
    payment = await house.until(await house.pay(line, 5_000), PaymentState.SETTLED)
    assert payment.gateway_ref is not None
    # Staff may have let it pass only now.
    await house.run("UPDATE payment_asked SET asked_at = asked_at - interval '30 days'")
    assert await house.engine.payments.tidy() == 0
    await house.run("UPDATE gateway_event SET received_at = received_at - interval '401 days'")
    await house.run("INSERT INTO gateway_event (shard, digest, gateway, event_id, payload_hash, body, received_at)"
                    " VALUES (0, 'open', 'sandbox', 'open', '', '{}', now() - interval '500 days')")  # fmt: skip
    await house.run("UPDATE payment_locator SET until = until - interval '401 days'")
    await house.run("UPDATE payment_asked SET asked_at = asked_at - interval '2 days'")
    first = await house.engine.payments.tidy(1)
    assert first == 3  # one of each kind
    assert await house.engine.payments.tidy() == 2  # what was left of the locators
    assert await house.engine.payments.tidy() == 0
    assert await house.rows("SELECT event_id FROM gateway_event") == [("open",)]
    assert await house.engine.find_payment(payment.reference) is None
    assert await house.engine.payment(payment.payment_id) is not None
    found = await house.engine.payments.find_by_gateway_ref(payment.gateway, payment.gateway_ref)
    assert found is not None and found.payment_id == payment.payment_id
    path = names.by_path(names.path_secret(keyring, payment.payment_id))
    assert await house.rows("SELECT FROM payment_locator WHERE digest = %s", path.digest) == []
    assert await house.money(line) == 5_000
    await house.right()
