"""Loops that go on whatever happens: what fails is logged when it begins and when it is over."""

from __future__ import annotations

from time import monotonic
from types import TracebackType
from typing import Any

import structlog

log = structlog.get_logger(__name__)

#: seconds after which what still fails is logged once more
AGAIN = 60.0


class Trouble:
    """Around each round of a loop (``with``): an exception ends the round and not the loop.

    A database that is away fails five times a second. The log says so once, with a traceback, then once a minute, and
    when it is over; what fails in another way meanwhile is told by itself.
    """

    def __init__(self, event: str, **told: Any) -> None:
        """``event`` and ``told`` are the log's line."""
        self._event = event
        self._told = told
        self._since: float | None = None
        #: kind of exception → when it was logged last
        self._logged: dict[type[BaseException], float] = {}

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        now = monotonic()
        if kind is None:
            if self._since is not None:
                log.info("over", trouble=self._event, seconds=round(now - self._since, 1), **self._told)
                self._since = None
                self._logged.clear()
            return False
        if not issubclass(kind, Exception):
            return False
        self._since = self._since or now
        if now - self._logged.get(kind, -AGAIN) >= AGAIN:
            log.error(self._event, exc_info=error, **self._told)
            self._logged[kind] = now
        return True
