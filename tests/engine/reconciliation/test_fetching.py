"""What gateways have settled is fetched once its day is over, once, and not again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sandbox.payments.server import PaymentsSandbox
from settings import Operator, ReconciliationRules
from tests.engine.payments.house import House
from tests.engine.reconciliation.files import booked_at, local, noon, paid, square
from tests.houses import Houses


def fetching_from(operator: Operator, hour: int) -> Operator:
    """The operator who fetches from this hour on."""
    return operator.model_copy(update={"reconciliation": ReconciliationRules(fetch_hour=hour)})


@pytest.fixture
async def early(houses: Houses, operator: Operator) -> House:
    """A house that fetches at any hour."""
    return await houses(fetching_from(operator, 0), only=("sandbox",))


async def test_a_day_that_is_over_is_fetched_and_matched_once(early: House, sandbox: PaymentsSandbox) -> None:
    [payment] = await paid(early)
    yesterday = noon(early)
    await booked_at(early, payment, yesterday)
    for one in sandbox.desk.ledger.all():
        for moved in one.movements:
            moved.at = yesterday
    assert await early.engine.reconciliation.fetch_due() == 3
    assert (5_000, 5_000, 0, 0) in await square(early)
    runs = await early.engine.reconciliation.runs()
    days = [local(early, datetime.now(UTC) - timedelta(days=back)) for back in (1, 2, 3)]
    assert [(run.gateway, run.first_day, run.source, run.by) for run in runs] == [
        ("sandbox", day, "fetched", "schedule") for day in days
    ]
    assert [run.rows for run in runs] == [1, 0, 0]
    assert await early.engine.reconciliation.fetch_due() == 0


async def test_a_gateway_that_cannot_be_reached_is_asked_again_later(early: House, sandbox: PaymentsSandbox) -> None:
    await sandbox.stop()
    assert await early.engine.reconciliation.fetch_due() == 0
    assert await early.engine.reconciliation.runs() == []
    await sandbox.start()


async def test_what_is_refused_is_no_file(early: House) -> None:
    gateway = early.engine.reconciliation._gateways.get("sandbox")
    gateway._caller._headers["Authorization"] = "Bearer wrong"
    assert await gateway.fetch_settlement(noon(early), datetime.now(UTC)) is None
