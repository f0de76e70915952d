"""What the page says, in the languages of pages: ``locales/<language>/LC_MESSAGES/simulator.po``, English as it stands.

The page's scripts say things too, so they are given the whole catalogue.
"""

from __future__ import annotations

import io
from functools import cache
from importlib.resources import files

from aiohttp import web
from babel.core import negotiate_locale
from babel.messages.pofile import read_po

from portal.base.words import LANGUAGES

#: where the language that was chosen is kept
COOKIE = "simulator_language"
YEAR = 365 * 86_400


@cache
def catalogue(language: str) -> dict[str, str]:
    """English message → what it is in ``language``; empty for English itself."""
    if language == "en":
        return {}
    path = files("portal") / "simulator" / "locales" / language / "LC_MESSAGES" / "simulator.po"
    read = read_po(io.BytesIO(path.read_bytes()), locale=language)
    return {str(entry.id): str(entry.string) for entry in read if entry.id}


def say(language: str, message: str, **values: object) -> str:
    """``message`` in ``language``, its ``{names}`` filled in."""
    return catalogue(language).get(message, message).format(**values)


def language_of(request: web.Request) -> str:
    """The language of a page: as asked for, as chosen before, as the browser prefers, else English."""
    for wanted in (request.query.get("language"), request.cookies.get(COOKIE)):
        if wanted in LANGUAGES:
            return str(wanted)
    accepted = request.headers.get("Accept-Language", "")
    preferred = [part.partition(";")[0].strip().replace("-", "_") for part in accepted.split(",")]
    return negotiate_locale(preferred, list(LANGUAGES)) or "en"


def remember(response: web.StreamResponse, request: web.Request) -> None:
    """Keep the language that was asked for."""
    if request.query.get("language") in LANGUAGES:
        response.set_cookie(
            COOKIE, request.query["language"], max_age=YEAR, path="/simulator", samesite="Strict", httponly=True
        )
