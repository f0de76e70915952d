"""PINs on a real Postgres: tries, locks, hashes."""

from __future__ import annotations

import asyncio

import pytest

from engine.accounts import pins
from engine.accounts.secrets import HASHER
from engine.accounts.service import Accounts
from engine.words import BadPin, PinVerdict
from runtime.keyring import Keyring

NUMBER = "+254712345678"


async def test_a_pin_is_right_wrong_or_not_set(accounts):
    line = await accounts.create_line(NUMBER)
    assert await accounts.check_pin(line, "2580") is PinVerdict.NOT_SET
    with pytest.raises(BadPin):
        await accounts.set_pin(line, "1234")
    await accounts.set_pin(line, "2580")
    assert (await accounts.subscriber(NUMBER)).has_pin
    assert await accounts.check_pin(line, "2581") is PinVerdict.WRONG
    assert await accounts.check_pin(line, "٢٥٨٠") is PinVerdict.RIGHT
    await accounts.clear_pin(line)
    assert await accounts.check_pin(line, "2580") is PinVerdict.NOT_SET


async def test_the_right_pin_starts_the_count_anew(accounts):
    line = await accounts.create_line(NUMBER, pin="2580")
    for _ in range(4):
        for pin in ("0001", "0002", "2580"):
            verdict = await accounts.check_pin(line, pin)
            assert verdict is (PinVerdict.RIGHT if pin == "2580" else PinVerdict.WRONG)


async def test_too_many_wrong_pins_lock_and_each_lock_is_longer(accounts, owner, operator):
    line = await accounts.create_line(NUMBER, pin="2580")
    lasted = []
    for _ in range(3):
        for _ in range(operator.pins.tries):
            assert await accounts.check_pin(line, "0001") is PinVerdict.WRONG
        assert await accounts.check_pin(line, "2580") is PinVerdict.LOCKED
        row = owner.execute(
            "SELECT round(extract(epoch FROM pin_locked_until - now()) / 60) AS minutes FROM line"
        ).fetchone()
        lasted.append(int(row["minutes"]))
        owner.execute("UPDATE line SET pin_locked_until = now() - interval '1 second'")
    first = operator.pins.lock_minutes
    assert lasted == [first, first * 2, first * 4]
    assert await accounts.check_pin(line, "2580") is PinVerdict.RIGHT


async def test_parallel_guesses_gain_nothing(accounts, operator, database, keyring):
    line = await accounts.create_line(NUMBER, pin="2580")
    second_process = Accounts(database, operator, keyring)
    guesses = [f"{guess:04d}" for guess in range(30)]
    services = (accounts, second_process)
    verdicts = await asyncio.gather(*(services[place % 2].check_pin(line, pin) for place, pin in enumerate(guesses)))
    assert verdicts.count(PinVerdict.WRONG) == operator.pins.tries
    assert verdicts.count(PinVerdict.LOCKED) == len(guesses) - operator.pins.tries
    await second_process.close()


async def test_a_try_counts_though_the_process_dies_before_it_compares(accounts, owner, monkeypatch):
    line = await accounts.create_line(NUMBER, pin="2580")

    def dies(*_):
        raise SystemError("killed")

    monkeypatch.setattr("engine.accounts.pins.secret_matches", dies)
    with pytest.raises(SystemError):
        await accounts.check_pin(line, "0001")
    assert owner.execute("SELECT pin_failures FROM line").fetchone() == {"pin_failures": 1}


async def test_a_pin_that_is_set_while_the_old_one_is_hashed_anew_stays(
    accounts, operator, database, keyring, monkeypatch
):
    line = await accounts.create_line(NUMBER, pin="2580")
    newer = Accounts(database, operator, Keyring({1: keyring._keys[1], 2: b"n" * 32}))
    loop, hashed = asyncio.get_running_loop(), pins.hash_secret

    def slowly(ring, purpose, line_id, pin):
        """The old PIN is hashed, and meanwhile the person sets another one."""
        if pin == "2580":
            asyncio.run_coroutine_threadsafe(newer.set_pin(line, "9173"), loop).result(10)
        return hashed(ring, purpose, line_id, pin)

    monkeypatch.setattr(pins, "hash_secret", slowly)
    assert await newer.check_pin(line, "2580") is PinVerdict.RIGHT
    assert await newer.check_pin(line, "9173") is PinVerdict.RIGHT
    assert await newer.check_pin(line, "2580") is PinVerdict.WRONG
    await newer.close()


async def test_unlocking_ends_both_locks(accounts, owner):
    line = await accounts.create_line(NUMBER, pin="2580")
    owner.execute(
        "UPDATE line SET pin_locked_until = now() + interval '1 day',"
        " voucher_locked_until = now(), voucher_failures = 9"
    )
    assert await accounts.check_pin(line, "2580") is PinVerdict.LOCKED
    await accounts.unlock(line)
    assert await accounts.check_pin(line, "2580") is PinVerdict.RIGHT
    row = owner.execute("SELECT voucher_locked_until, voucher_failures FROM line").fetchone()
    assert row == {"voucher_locked_until": None, "voucher_failures": 0}


async def test_a_pin_hash_copied_to_another_line_matches_nothing(accounts, owner):
    mine = await accounts.create_line(NUMBER, pin="2580")
    theirs = await accounts.create_line("+254712345679", pin="9173")
    owner.execute(
        "UPDATE line SET pin_hash = (SELECT pin_hash FROM line WHERE line_id = %s) WHERE line_id = %s",
        (mine.line_id, theirs.line_id),
    )
    assert await accounts.check_pin(theirs, "2580") is PinVerdict.WRONG


@pytest.mark.usefixtures("costly_hashes")
async def test_pins_are_hashed_as_owasp_asks_at_least(accounts, owner):
    await accounts.create_line(NUMBER, pin="2580")
    key_id, _, digest = owner.execute("SELECT pin_hash FROM line").fetchone()["pin_hash"].partition(":")
    assert key_id == "1"
    assert digest.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert not HASHER.check_needs_rehash(digest)
