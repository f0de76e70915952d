"""What a request asks for, before anybody knows who sent it."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web


def no_nul(*said: str) -> None:
    """Raise 400 for the one character that no text in Postgres can hold."""
    if any("\0" in one for one in said):
        raise web.HTTPBadRequest(text="NUL is in no text of ours")


def in_language(request: web.Request, back: str) -> Callable[[str], str]:
    """Makes the link to this page in the language of a code, with everything that was chosen on it.

    What a form did has no address to come back to: from there it leads to ``back``.
    """
    if request.method == "GET":
        return lambda code: str(request.rel_url.update_query(lang=code))
    return lambda code: f"{back}?lang={code}"
