"""How TM Forum's APIs answer (TMF630 part 1): errors, chosen attributes, pages."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from http import HTTPStatus
from typing import Any, NamedTuple
from uuid import UUID

import msgspec
from aiohttp import web
from yarl import URL

from network.endpoints import Parameter
from network.http import Problem, challenge, json_response, wrong
from network.tmf import wire
from network.tmf.amounts import BAD

#: resources on a page where nothing is said, and at most
PAGE, LARGEST_PAGE = 50, 200
#: how far into a list a number may lead; further only from page to page
DEEPEST = 10_000

FIELDS = Parameter("fields", "attributes that are wanted, separated by commas; id and href always come")
PAGING = (
    Parameter("limit", f"resources on a page: 1 to {LARGEST_PAGE}", schema={"type": "integer"}),
    Parameter("offset", "how many are left out first", schema={"type": "integer"}),
    Parameter("after", "where the last page ended, as its Link says"),
)
#: parameters of lists that choose by something else than an attribute's value
_NO_FILTERS = {FIELDS.name, *(one.name for one in PAGING), "logicalResource.id", "relatedParty.id", "usageDate"}
IDEMPOTENCY = Parameter("Idempotency-Key", "the same key and content again: the same answer, done once", "header")


def refuse(problem: Problem) -> web.Response:
    """A refusal as TMF630 writes one: ``code`` for programs, ``reason`` for people."""
    body = wire.Error(
        code=problem.cause,
        reason=HTTPStatus(problem.status).phrase,
        message=problem.detail,
        status=str(problem.status),
    )
    return json_response(body, problem.status, challenge(problem))


class Page(NamedTuple):
    """Which part of a list is asked for."""

    limit: int
    offset: int
    #: time and key of the last one before
    after: tuple[datetime, UUID] | None


def page_of(request: web.Request) -> Page:
    """Raises ``Problem`` for what is no page."""
    after = request.query.get("after")
    return Page(
        limit=_number(request, "limit", PAGE, 1, LARGEST_PAGE),
        offset=_number(request, "offset", 0, 0, DEEPEST),
        after=None if after is None else _cursor(after),
    )


def _number(request: web.Request, name: str, usual: int, least: int, most: int) -> int:
    text = request.query.get(name)
    if text is None:
        return usual
    if not (text.isascii() and text.isdecimal() and len(text) < 10 and least <= int(text) <= most):
        raise wrong(BAD, name, f"a number from {least} to {most} is meant")
    return int(text)


def _cursor(text: str) -> tuple[datetime, UUID]:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        at = datetime.fromtimestamp(int.from_bytes(raw[:8]) // 10**6, UTC)
        return at.replace(microsecond=int.from_bytes(raw[:8]) % 10**6), UUID(bytes=raw[8:])
    except (binascii.Error, ValueError, OverflowError, OSError):
        raise wrong(BAD, "after", "what a Link says is meant") from None


def cursor(at: datetime, key: UUID) -> str:
    """What ``after`` of the next page is: the last one's time and key."""
    moment = int(at.timestamp()) * 10**6 + at.microsecond
    return base64.urlsafe_b64encode(moment.to_bytes(8) + key.bytes).decode().rstrip("=")


def listed(
    request: web.Request, found: Sequence[Any], *, total: int | None = None, following: str | None = None
) -> web.Response:
    """A page of resources; ``following`` is the cursor of the next page, ``total`` what there is in all if known."""
    if total is None and following is None and not {"after", "offset"} & request.query.keys():
        total = len(found)
    headers = {"X-Result-Count": str(len(found))}
    if total is not None:
        headers["X-Total-Count"] = str(total)
    if following is not None:
        url = request.rel_url.update_query({"after": following, "offset": "0"})
        headers["Link"] = f'<{url}>; rel="next"'
    return json_response([chosen(request, one) for one in found], headers=headers)


def sliced(request: web.Request, all_of_them: Sequence[Any]) -> web.Response:
    """A page of a short list that is there as a whole."""
    page, all_of_them = page_of(request), matching(request, all_of_them)
    until = page.offset + page.limit
    response = listed(request, all_of_them[page.offset : until], total=len(all_of_them))
    if until < len(all_of_them):
        response.headers["Link"] = f'<{_at(request.rel_url, until)}>; rel="next"'
    return response


def _at(url: URL, offset: int) -> URL:
    return url.update_query({"offset": str(offset)})


def matching(request: web.Request, resources: Sequence[Any]) -> Sequence[Any]:
    """Those whose attributes have the values that the query names: ``status=active``, ``remainingValue.units=B``.

    Several values are separated by commas (TMF630 part 1, attribute value filtering); of a list one element has to fit.
    """
    chosen_by = filters(request)
    wanted = [(name.split("."), said.split(",")) for name, said in request.query.items() if name in chosen_by]
    if not wanted:
        return resources
    plain = ((one, msgspec.to_builtins(one)) for one in resources)
    return [one for one, said in plain if all(set(values) & set(_said(said, path)) for path, values in wanted)]


def filters(request: web.Request) -> set[str]:
    """The attributes by whose values a list is chosen."""
    return set(request.query) - _NO_FILTERS


def _said(resource: Any, path: Sequence[str]) -> Iterator[str]:
    """What a resource says under a path of attributes, as a query writes it."""
    if isinstance(resource, list | tuple):
        for one in resource:
            yield from _said(one, path)
    elif path and isinstance(resource, dict):
        yield from _said(resource.get(path[0]), path[1:])
    elif not path and resource is not None:
        yield str(resource).lower() if isinstance(resource, bool) else str(resource)


def chosen(request: web.Request, resource: Any) -> Any:
    """A resource with the attributes that ``fields`` names; unknown ones name nothing."""
    fields = request.query.get("fields")
    if fields is None:
        return resource
    wanted = {"id", "href", *(name.strip() for name in fields.split(","))}
    plain: dict[str, Any] = msgspec.to_builtins(resource, builtin_types=(datetime, Decimal))
    return {name: value for name, value in plain.items() if name in wanted}
