"""Staff accounts: signed in with all three, locked after wrong tries, ended and given anew by the operator."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pyotp
import pytest
import sqlalchemy as sa

from engine.api import Engine
from engine.audit.tables import staff_action
from engine.staff.rules import STEP_SECONDS
from engine.staff.service import Credentials
from engine.staff.tables import staff_member
from engine.words import BadStaff, Role


def code(person: Credentials, steps: int = 0) -> str:
    return pyotp.TOTP(person.secret).at(time.time() + steps * STEP_SECONDS)


async def actions(engine: Engine) -> list[tuple[str, str]]:
    async with engine._database.connect() as connection:
        rows = await connection.execute(sa.select(staff_action.c.what, staff_action.c.by).order_by(staff_action.c.at))
        return [(row.what, row.by) for row in rows]


async def row(engine: Engine, name: str) -> Any:
    async with engine._database.connect() as connection:
        return (await connection.execute(sa.select(staff_member).where(staff_member.c.name == name))).one()


async def test_name_password_and_code_let_in_and_each_alone_does_not(engine: Engine) -> None:
    alice = await engine.staff.add("alice", Role.SUPPORT, by="root", why="new")
    assert await engine.staff.sign_in("alice", "wrong", code(alice)) is None
    assert await engine.staff.sign_in("alice", alice.password, "000000") is None
    assert await engine.staff.sign_in("bob", alice.password, code(alice)) is None
    member = await engine.staff.sign_in("alice", alice.password, code(alice))
    assert member is not None and (member.name, member.role) == ("alice", Role.SUPPORT)


async def test_a_code_that_was_used_lets_nobody_in_again(engine: Engine) -> None:
    alice = await engine.staff.add("alice", Role.SUPPORT, by="root", why="new")
    used = code(alice)
    assert await engine.staff.sign_in("alice", alice.password, used) is not None
    assert await engine.staff.sign_in("alice", alice.password, used) is None


async def test_of_two_who_use_the_same_code_at_once_one_gets_in(engine: Engine) -> None:
    alice = await engine.staff.add("alice", Role.SUPPORT, by="root", why="new")
    used = code(alice)
    tries = [engine.staff.sign_in("alice", alice.password, used) for _ in range(3)]
    assert sum(one is not None for one in await asyncio.gather(*tries)) == 1


async def test_five_wrong_tries_at_once_lock_and_then_the_right_words_are_refused_too(engine: Engine) -> None:
    alice = await engine.staff.add("alice", Role.SUPPORT, by="root", why="new")
    await asyncio.gather(*(engine.staff.sign_in("alice", "wrong", "000000") for _ in range(5)))
    assert (await row(engine, "alice")).locked_until is not None
    assert await engine.staff.sign_in("alice", alice.password, code(alice)) is None
    done = await actions(engine)
    assert done.count(("staff.sign_in.refused", "alice")) == 5


async def test_a_reset_ends_locks_sessions_and_the_old_words(engine: Engine) -> None:
    old = await engine.staff.add("alice", Role.SUPPORT, by="root", why="new")
    for _ in range(5):
        await engine.staff.sign_in("alice", "wrong", "000000")
    fresh = await engine.staff.reset("alice", by="root", why="lost her phone")
    assert await engine.staff.sign_in("alice", old.password, code(old)) is None
    member = await engine.staff.sign_in("alice", fresh.password, code(fresh))
    assert member is not None and member.epoch == 1
    assert ("staff.reset", "root") in await actions(engine)


async def test_who_is_disabled_does_not_get_in_and_a_reset_lets_them_in_again(engine: Engine) -> None:
    alice = await engine.staff.add("alice", Role.ADMIN, by="root", why="new")
    await engine.staff.disable("alice", by="root", why="left us")
    assert await engine.staff.sign_in("alice", alice.password, code(alice)) is None
    assert [one.disabled_at is not None for one in await engine.staff.members()] == [True]
    again = await engine.staff.reset("alice", by="root", why="came back")
    assert await engine.staff.sign_in("alice", again.password, code(again)) is not None


async def test_a_name_is_one_person_s(engine: Engine) -> None:
    await engine.staff.add("alice", Role.SUPPORT, by="root", why="new")
    with pytest.raises(BadStaff, match="taken"):
        await engine.staff.add("alice", Role.ADMIN, by="root", why="again")
    with pytest.raises(BadStaff, match="nobody"):
        await engine.staff.reset("bob", by="root", why="who?")


async def test_neither_password_nor_secret_is_stored_in_the_clear(engine: Engine) -> None:
    alice = await engine.staff.add("alice", Role.SUPPORT, by="root", why="new")
    kept = repr(tuple(await row(engine, "alice")))
    assert alice.password not in kept and alice.secret not in kept and "argon2id" in kept


async def test_a_new_password_ends_sessions_and_lets_in(engine: Engine) -> None:
    alice = await engine.staff.add("alice", Role.SUPPORT, by="root", why="new")
    member = await engine.staff.sign_in("alice", alice.password, code(alice))
    assert member is not None
    with pytest.raises(BadStaff):
        await engine.staff.change_password(member, "alice")
    await engine.staff.change_password(member, "correct horse battery")
    again = await engine.staff.sign_in("alice", "correct horse battery", code(alice, 1))
    assert again is not None and again.epoch == member.epoch + 1


async def test_of_two_resets_at_once_each_ends_the_sessions_that_the_other_one_began(engine: Engine) -> None:
    await engine.staff.add("alice", Role.SUPPORT, by="root", why="new")
    await asyncio.gather(*(engine.staff.reset("alice", by="root", why="lost") for _ in range(3)))
    assert (await row(engine, "alice")).epoch == 3
