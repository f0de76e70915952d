"""Many random operations, replays among them, against a plain model of what a person should see."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from typing import Any

import pytest

from engine.api import Engine
from engine.books.invariants import check_all
from engine.words import Adjust, Answer, Charge, Operation, Purchase, Refund, Subscriber, Unit
from settings import Operator
from tests.engine.shop import asking, open_line, redeeming, sell_vouchers


class Model:
    """What one line should hold, told only by what was answered."""

    def __init__(self) -> None:
        self.held: Counter[Unit] = Counter()
        self.answers: dict[Any, Answer] = {}
        self.gone: set[Any] = set()

    def learn(self, operation: Operation, answer: Answer) -> None:
        """Take an answer: a known key must be answered as before, a new one moves what its effects say."""
        if operation.key in self.answers:
            assert answer == self.answers[operation.key]
            return
        self.answers[operation.key] = answer
        for effect in answer.effects:
            self.held[effect.unit] += effect.after - effect.before
        if answer.ok:
            self.held_like(operation)

    def held_like(self, operation: Operation) -> None:
        """What an accepted operation must have meant, whatever its effects claim."""
        answer = self.answers[operation.key]
        moved = Counter(dict.fromkeys(Unit, 0))
        for effect in answer.effects:
            moved[effect.unit] += effect.after - effect.before
        if isinstance(operation, Charge):
            # Of calls and texts, what no bundle covers is paid with money.
            assert -operation.amount <= moved[operation.unit] <= 0
            assert moved[operation.unit] == -operation.amount or moved[Unit.MONEY] < 0
        elif isinstance(operation, Adjust):
            assert moved[operation.unit] == operation.amount
        elif isinstance(operation, Purchase):
            assert moved[Unit.MONEY] == -operation.price


def random_operation(
    dice: random.Random, engine: Engine, line: Subscriber, vouchers: list[str], earlier: list[Operation]
) -> Operation:
    """Anything a caller may ask, sensible or not."""
    product = dice.choice(engine.operator.products)
    kinds = [
        lambda: asking(
            Adjust, line, unit=dice.choice([*Unit]), amount=dice.randint(-5_000, 20_000) or 1, reason="random"
        ),
        lambda: asking(Charge, line, unit=dice.choice([*Unit]), amount=dice.randint(0, 3_000)),
        lambda: asking(Purchase, line, product=product.code, price=product.price),
        lambda: redeeming(engine, line, dice.choice(vouchers)),
        lambda: asking(Refund, line, refunded_key=dice.choice(earlier).key, reason="random"),
        lambda: dice.choice(earlier),
    ]
    return dice.choice(kinds if earlier else kinds[:1])()


@pytest.mark.parametrize("seed", range(4))
async def test_random_operations_leave_what_a_plain_model_says(engine: Engine, operator: Operator, seed: int) -> None:
    dice = random.Random(seed)
    lines = [await open_line(engine) for _ in range(5)]
    vouchers = await sell_vouchers(engine, 5_000, 30)
    models = {line.line_id: Model() for line in lines}
    history: dict[Any, list[Operation]] = {line.line_id: [] for line in lines}
    for _ in range(30):
        asked = []
        for line in dice.choices(lines, k=12):
            operation = random_operation(dice, engine, line, vouchers, history[line.line_id])
            history[line.line_id].append(operation)
            asked.append((line, operation))
        answers = await asyncio.gather(*(engine.post(operation) for _, operation in asked))
        for (line, operation), answer in zip(asked, answers, strict=True):
            models[line.line_id].learn(operation, answer)
    for line in lines:
        now = await engine.subscriber(line.msisdn)
        assert {unit: now.total(unit) for unit in Unit} == {unit: models[line.line_id].held[unit] for unit in Unit}
    assert sum(answer.ok for model in models.values() for answer in model.answers.values()) > 50
    assert await check_all(engine._database) == []
