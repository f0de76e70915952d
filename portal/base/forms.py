"""What people send: the fields of a form, before anybody knows what they mean."""

from __future__ import annotations

from aiohttp import web


def no_nul(*said: str) -> None:
    """Raise 400 for the one character that no text in Postgres can hold."""
    if any("\0" in one for one in said):
        raise web.HTTPBadRequest(text="NUL is in no text of ours")


async def fields_of(request: web.Request, most: int) -> dict[str, str]:
    """The fields of a form, each cut to ``most`` characters; files are left out. Raises 400 for what is none."""
    try:
        sent = await request.post()
    except (ValueError, LookupError) as error:  # not in the encoding that it says it is in
        raise web.HTTPBadRequest(text="form: not readable") from error
    fields = {name: value[:most] for name, value in sent.items() if isinstance(value, str)}
    no_nul(*fields.values())
    return fields
