"""Alarms: what somebody has to look at now, told once in the log, the metrics and to whoever subscribed to it.

Where the alarm is about a change, its event is written in the commit of that change (``row``), and ``tell`` says the
rest once that is committed; elsewhere ``raise_alarm`` does both.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import NAMESPACE_OID, uuid5

import msgspec
import sqlalchemy as sa
import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from engine.events.tables import event
from engine.storage.sharding import new_id, shard_of
from runtime.metrics import Metrics

log = structlog.get_logger(__name__)

TOPIC = "alarm.raised"
#: whose alarms are: the operator's, so that those about people are told in one order too
OPERATOR_ID = uuid5(NAMESPACE_OID, "rasid.operator")
COLUMNS = ("shard", "account_id", "event_id", "topic", "body", "created_at")


def row(alarm: str, facts: dict[str, Any], now: datetime) -> tuple[Any, ...]:
    """The event of an alarm, by ``COLUMNS``. ``facts``: codes, counts, ids and amounts, no person's data."""
    body = msgspec.json.encode({"alarm": alarm, **facts}).decode()
    return (shard_of(OPERATOR_ID.bytes), OPERATOR_ID, new_id(), TOPIC, body, now)


class Alarms:
    """The alarms of one process."""

    def __init__(self, database: AsyncEngine, metrics: Metrics) -> None:
        self._database = database
        self._metrics = metrics

    def tell(self, alarm: str, facts: dict[str, Any]) -> None:
        """Log and count an alarm whose event is committed."""
        log.critical(alarm, **facts)
        self._metrics.alarms.labels(alarm).inc()

    async def raise_alarm(self, alarm: str, **facts: Any) -> None:
        """Raise an alarm that hangs on no change. Never fails: with the database away it is logged and counted."""
        self.tell(alarm, facts)
        values = dict(zip(COLUMNS, row(alarm, facts, datetime.now(UTC)), strict=True))
        try:
            async with self._database.begin() as connection:
                await connection.execute(sa.insert(event).values(values | {"body": {"alarm": alarm, **facts}}))
        except (SQLAlchemyError, OSError) as error:
            log.warning("alarm_not_published", alarm=alarm, reason=type(error).__name__)
