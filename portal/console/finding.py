"""One box that finds a line or a payment by whatever a caller can say."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from portal.console.desk import STAFF, Attendant, Desk, Route, get


class FindPages:
    """The first page: the search box, and what was found."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def routes(self) -> Sequence[Route]:
        """What they answer to."""
        return [get("", STAFF, self._show)]

    async def _show(self, request: web.Request, person: Attendant) -> web.Response:
        return self._desk.page(request, person, "find.html", here="")
