"""What arrives at the callback path: believed as a whole, done once, and a line in the audit trail where refused."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from typing import Any
from uuid import uuid4

import msgspec
import psycopg
import pytest

from engine.words import PaymentState
from runtime.keyring import Keyring
from sandbox.payments.desk import Accounts
from tests.engine.payments.house import House
from tests.houses import Houses


@pytest.fixture
async def house(houses: Houses) -> House:
    """A house whose gateways soon give an answer up."""
    return await houses(patience=1.0)


def signed(body: bytes, *, at: float | None = None, secret: str = "") -> dict[str, str]:
    """The sandbox's signature."""
    stamp = str(int(at or time.time()))
    key = secret or Accounts().webhook_secret
    digest = hmac.new(key.encode(), stamp.encode() + b"." + body, hashlib.sha256).hexdigest()
    return {"Sandbox-Signature": f"t={stamp},v1={digest}", "Content-Type": "application/json"}


async def post(house: House, body: bytes, headers: dict[str, str], path: str = "sandbox/callback") -> int:
    """The status that a callback is answered with."""
    async with house.http.post(f"{house.base_url}/payments/{path}", data=body, headers=headers) as answer:
        return answer.status


def event(payment_id: object, *, name: str = "evt_test_1", amount: int = 5_000, state: str = "captured") -> bytes:
    """A callback of the sandbox."""
    reference = f"sb_{str(payment_id)[:8]}"
    payment = {"id": reference, "payment_id": str(payment_id), "state": state, "amount": amount, "currency": "KES"}
    return msgspec.json.encode({"id": name, "payment": payment})


async def refused(house: House) -> list[str]:
    """The audit lines of refused callbacks."""
    rows = await house.rows("SELECT refused FROM gateway_event WHERE refused IS NOT NULL ORDER BY received_at")
    return [reason for (reason,) in rows]


async def test_forged_stale_truncated_and_oversized_callbacks_are_refused_without_effect(house: House) -> None:
    line = await house.line()
    await house.plays("hang")
    payment = await house.pay(line, 5_000)
    body = event(payment.payment_id)
    cases: list[tuple[bytes, dict[str, str], int]] = [
        (body, signed(body, secret="not the secret"), 401),
        (body, {}, 401),
        (body, signed(body, at=time.time() - 3_600), 401),
        (body[:-20], signed(body[:-20]), 400),
        (body + b" " * 70_000, signed(body), 413),
        (event(payment.payment_id, amount=-5), signed(event(payment.payment_id, amount=-5)), 400),
        (event(payment.payment_id, amount=10**30), signed(event(payment.payment_id, amount=10**30)), 400),
    ]
    assert [await post(house, sent, headers) for sent, headers, _ in cases] == [status for *_, status in cases]
    assert len(await refused(house)) == len({sent for sent, *_ in cases})
    assert await house.money(line) == 0
    assert await post(house, body, signed(body), "nobody/callback") == 404
    await house.right()


async def test_a_body_that_is_not_compressed_as_its_header_says_is_refused_like_any_other(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    body = event("of nobody")
    for _ in range(2):
        assert await post(house, body, {**signed(body), "Content-Encoding": "gzip"}) == 401
    assert len(await refused(house)) == 1
    assert [one.getMessage() for one in caplog.records if one.levelname == "ERROR"] == []


async def test_a_replay_is_answered_and_does_nothing_and_the_same_event_saying_else_is_refused(house: House) -> None:
    line = await house.line()
    await house.plays("hang")
    payment = await house.pay(line, 5_000)
    body = event(payment.payment_id)
    statuses = await asyncio.gather(*(post(house, body, signed(body)) for _ in range(20)))
    assert set(statuses) == {200}
    assert await house.money(line) == 5_000
    other = event(payment.payment_id, amount=9_000)
    assert await post(house, other, signed(other)) == 409
    assert await house.money(line) == 5_000
    await house.right()


async def test_a_replay_is_known_again_under_the_next_master_key(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {1: bytes(range(32)), 2: b"n" * 32}
    before, after = event(uuid4(), name="evt_before"), event(uuid4(), name="evt_after")
    assert await post(house, before, signed(before)) == 200
    monkeypatch.setattr(house.engine.payments._inbox, "_keyring", Keyring(keys))
    assert await post(house, before, signed(before)) == 200
    assert await post(house, after, signed(after)) == 200
    # The first key is retired.
    monkeypatch.setattr(house.engine.payments._inbox, "_keyring", Keyring({2: keys[2]}))
    assert await post(house, after, signed(after)) == 200
    assert await post(house, before, signed(before)) == 409


async def test_an_event_of_a_payment_that_is_none_of_ours_is_kept_as_such(house: House) -> None:
    body = event("2b1d5ab4-6c5b-4b56-9d6d-6d6c2f7d4c11")
    assert await post(house, body, signed(body)) == 200
    assert await refused(house) == ["payment_unknown"]


async def test_one_payments_path_does_not_serve_another(house: House) -> None:
    first, second = await house.line(), await house.line()
    await house.plays("hang", times=2)
    one, two = await house.pay(first, 5_000), await house.pay(second, 5_000)
    known = dict(await paths(house))
    body = event(one.payment_id)
    assert await post(house, body, signed(body), f"sandbox/callback/{known[two.payment_id]}") == 200
    assert await refused(house) == ["path"]
    assert await house.money(first) == await house.money(second) == 0


async def paths(house: House) -> list[tuple[Any, str]]:
    """Each payment's own path."""
    from engine.payments.names import path_secret  # noqa: PLC0415 - only this test looks behind the names

    keyring = house.engine.payments._inbox._keyring
    rows = await house.rows("SELECT payment_id FROM payment")
    return [(payment_id, path_secret(keyring, payment_id)) for (payment_id,) in rows]


@pytest.mark.parametrize("order", [("declined", "captured"), ("captured", "declined"), ("captured", "pending")])
async def test_events_in_any_order_end_with_the_money_credited(house: House, order: tuple[str, str]) -> None:
    line = await house.line()
    await house.plays("hang")
    payment = await house.pay(line, 5_000)
    for number, state in enumerate(order):
        body = event(payment.payment_id, name=f"evt_{number}_x", state=state)
        assert await post(house, body, signed(body)) == 200
    found = await house.engine.payment(payment.payment_id)
    assert found is not None and found.state is PaymentState.SETTLED
    assert await house.money(line) == 5_000
    await house.right()


async def test_a_chargeback_heard_before_its_capture_leaves_no_credit(house: House) -> None:
    line = await house.line()
    await house.plays("hang")
    payment = await house.pay(line, 5_000)
    for number, state in enumerate(("chargeback", "captured")):
        body = event(payment.payment_id, name=f"evt_{number}_x", state=state)
        assert await post(house, body, signed(body)) == 200
    assert (await house.ended(payment)).state is PaymentState.CHARGED_BACK
    assert await house.money(line) == 0
    await house.right()


async def test_a_burst_of_callbacks_is_settled_in_few_transactions(house: House) -> None:
    lines = [await house.line() for _ in range(60)]
    await house.plays("lost", times=60)
    payments = await asyncio.gather(*(house.pay(line, 5_000) for line in lines))
    bodies = [event(one.payment_id, name=f"evt_{number}_burst") for number, one in enumerate(payments)]
    assert set(await asyncio.gather(*(post(house, body, signed(body)) for body in bodies))) == {200}
    assert [await house.money(line) for line in lines] == [5_000] * 60
    assert await house.rows("SELECT DISTINCT state FROM payment") == [("settled",)]
    ((batches,),) = await house.rows("SELECT count(DISTINCT batch_id) FROM operation WHERE kind = 'settle'")
    assert batches < 30
    await house.right()


async def test_an_event_whose_taker_died_is_done_by_the_loop(house: House) -> None:
    line = await house.line()
    await house.plays("hang")
    payment = await house.pay(line, 5_000)
    body = event(payment.payment_id)
    assert await post(house, body, signed(body)) == 200
    await house.until(payment, PaymentState.SETTLED)
    second = await house.line()
    await house.plays("hang")
    other = await house.pay(second, 5_000)
    # As a process leaves it that is killed once the event is stored.
    await house.run(
        "INSERT INTO gateway_event (shard, digest, gateway, event_id, payload_hash, body, received_at, next_check_at)"
        " SELECT shard, digest || '\\x00', gateway, event_id || 'b', payload_hash,"
        "        jsonb_set(jsonb_set(body, '{event_id}', '\"evt_test_1b\"'), '{payment_id}', to_jsonb(%s::text)),"
        "        now(), now() FROM gateway_event",
        str(other.payment_id),
    )
    await house.run("UPDATE gateway_event SET body = body #- '{outcome,gateway_ref}' WHERE done_at IS NULL")
    await house.engine.resume_payments()
    await house.until(other, PaymentState.SETTLED)
    assert await house.money(second) == 5_000
    await house.right()


async def test_two_payments_are_not_credited_for_one_reference_of_the_provider(house: House) -> None:
    first, second = await house.line(), await house.line()
    await house.plays("hang", times=2)
    one, two = await house.pay(first, 5_000), await house.pay(second, 5_000)
    for number, payment in enumerate((one, two)):
        body = event(payment.payment_id, name=f"evt_{number}_x").replace(
            f"sb_{str(payment.payment_id)[:8]}".encode(), b"sb_the_same"
        )
        assert await post(house, body, signed(body)) == 200
    found = await house.engine.payment(two.payment_id)
    assert found is not None and (found.state, found.reason) == (PaymentState.DECLINED, "duplicate")
    assert [await house.money(line) for line in (first, second)] == [5_000, 0]
    await house.right()


async def test_a_payment_that_somebody_holds_does_not_hold_up_the_callbacks_of_others(house: House) -> None:
    first, second = await house.line(), await house.line()
    await house.plays("hang", times=2)
    held, free = await house.pay(first, 5_000), await house.pay(second, 5_000)
    url = house.engine._database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    async with await psycopg.AsyncConnection.connect(url) as holder:
        await holder.execute("SELECT FROM payment WHERE payment_id = %s FOR UPDATE", [held.payment_id])
        bodies = [event(one.payment_id, name=f"evt_{number}_held") for number, one in enumerate((held, free))]
        tasks = [asyncio.create_task(post(house, body, signed(body))) for body in bodies]
        await house.until(free, PaymentState.SETTLED)
        assert await house.rows("SELECT count(*) FROM gateway_event") == [(2,)]
        await holder.rollback()
    assert await asyncio.gather(*tasks) == [200, 200]
    await house.until(held, PaymentState.SETTLED)
    await house.right()


async def test_two_events_of_one_payment_that_come_together_are_both_done(house: House) -> None:
    line = await house.line()
    await house.plays("hang")
    payment = await house.pay(line, 5_000)
    bodies = [event(payment.payment_id, name=f"evt_{state}_x", state=state) for state in ("pending", "captured")]
    assert await asyncio.gather(*(post(house, body, signed(body)) for body in bodies)) == [200, 200]
    assert await house.money(line) == 5_000
    assert await house.rows("SELECT count(*) FROM gateway_event WHERE done_at IS NULL") == [(0,)]
    await house.right()
