"""A process that pays, is called back and recovers, and dies by SIGKILL at a chosen step: ``python -m`` with one JSON.

A step is one transaction of payments, one operation through the door, or one call to a gateway; death comes right
before or right after it. Every life is a fork, so there can be hundreds. Prints how many were killed.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import msgspec
import psycopg
import uvloop

from engine.books.service import Door
from engine.payments.gateways import Gateways
from engine.payments.writer import Writer
from engine.words import PaymentMethod
from runtime.keyring import Keyring
from settings import load_operator
from tests.engine.payments.house import House, opened

ROOT = Path(__file__).resolve().parents[3]
NAMESPACE = UUID("6ba7b812-9dad-11d1-80b4-00c04fd430c8")
PLAYS = ("approve", "approve", "duplicate", "early", "lost", "drop", "decline", "slow", "late", "error")
UNENDED = "SELECT state, reason, attempts, gateway_ref FROM payment WHERE next_check_at IS NOT NULL"
#: seconds that one life takes at most
LIFE = 4.0


class Orders(msgspec.Struct, frozen=True):
    """What the test wants."""

    database_url: str
    sandbox_url: str
    port: int
    msisdns: list[str]
    seed: int
    lives: int


class Running:
    """The sandbox, which runs elsewhere."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url


def doomed(die_at: int) -> None:
    """Let this process be killed at its ``die_at``-th step."""
    count = 0

    def step() -> None:
        nonlocal count
        count += 1
        if count == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(owner: type, name: str) -> None:
        original: Callable[..., Awaitable[Any]] = getattr(owner, name)

        async def stepped(*args: Any, **more: Any) -> Any:
            step()
            result = await original(*args, **more)
            step()
            return result

        setattr(owner, name, stepped)

    around(Writer, "_once")
    around(Gateways, "_call")
    around(Door, "post")


def key_of(orders: Orders, number: int) -> UUID:
    """The key of an intent: the same, however often it is tried."""
    return uuid5(NAMESPACE, f"{orders.seed}|{number}")


async def live(orders: Orders, number: int, play: str, *, to_the_end: bool = False) -> None:
    """Take up what is there, pay once more, and again what was begun before."""
    operator = load_operator(ROOT / "examples" / "kenya.toml")
    keyring = Keyring({1: bytes(range(32))})
    sandbox: Any = Running(orders.sandbox_url)
    async with opened(orders.database_url, operator, keyring, sandbox, port=orders.port, only=("sandbox",)) as house:
        await house.hurry()
        if to_the_end:
            for begun in range(number):
                await pay(house, orders, begun)
            # What time would bring about: nobody is asked any more, and late payers are not waited for.
            await house.run("UPDATE payment SET requested_at = requested_at - interval '10 minutes'")
            left: list[Any] = []
            for _ in range(200):
                await house.hurry()
                await house.engine.resume_payments()
                await asyncio.sleep(0.05)
                left = await house.rows(UNENDED)
                if not left:
                    return
            raise SystemExit(f"payments that do not end: {left}")
        await house.plays(play, seconds=0.7)
        async with asyncio.timeout(LIFE), asyncio.TaskGroup() as tasks:
            paying = tasks.create_task(pay(house, orders, number))
            if number:
                tasks.create_task(pay(house, orders, number - 1))
            while True:
                await house.engine.resume_payments()
                if paying.done():
                    payment = await house.engine.payment(paying.result())
                    if payment is None or payment.state.final:
                        break
                await asyncio.sleep(0.05)


async def pay(house: House, orders: Orders, number: int) -> UUID:
    """The intent of that number."""
    dice = random.Random(f"{orders.seed}|{number}")
    line = await house.engine.subscriber(dice.choice(orders.msisdns))
    card = {"method": PaymentMethod.CARD, "token": "card"} if dice.random() < 0.3 else {}
    amount = dice.randrange(50, 90) * 100
    payment = await house.pay(line, amount, key_of(orders, number), wait_seconds=0.5, **card)
    return payment.payment_id


def main() -> None:
    """Live and die as ordered."""
    orders = msgspec.json.decode(sys.argv[1], type=Orders)
    dice = random.Random(orders.seed)
    killed = 0
    for number in range(orders.lives):
        # The first lives end at each step in turn, the others anywhere.
        die_at = number + 1 if number < 40 else dice.randrange(1, 40)
        play = dice.choice(PLAYS)
        child = os.fork()
        if child == 0:
            doomed(die_at)
            status = 0
            try:
                uvloop.run(live(orders, number, play))
            except TimeoutError:
                status = 3
            os._exit(status)
        _, ended = os.waitpid(child, 0)
        killed += os.WIFSIGNALED(ended)
        if os.WIFEXITED(ended) and os.WEXITSTATUS(ended) not in (0, 3):
            raise SystemExit(f"life {number} broke")
    child = os.fork()
    if child == 0:
        uvloop.run(live(orders, orders.lives, "approve", to_the_end=True))
        os._exit(0)
    _, ended = os.waitpid(child, 0)
    sys.stdout.write(msgspec.json.encode({"killed": killed, "ended": os.waitstatus_to_exitcode(ended)}).decode())


if __name__ == "__main__":
    try:
        main()
    except psycopg.Error as error:
        raise SystemExit(f"the database is gone: {error}") from None
