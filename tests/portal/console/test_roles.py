"""Which role may use which route of the console. A route that is not in this table fails the test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio
from aiohttp import web

from engine.words import LineRef, Role
from portal.console.refs import write_line
from tests.portal.console.conftest import Client, Console

pytestmark = pytest.mark.asyncio(loop_scope="session")

#: S support, F finance, A admin, U auditor; * whoever comes
TABLE = """
GET  /                                SFAU
POST /find                            SFAU
GET  /lines/{line}                    SFAU
GET  /lines/{line}/ask/{kind}         SFA
POST /lines/{line}/ask/{kind}         SFA
GET  /requests                        SFAU
GET  /requests/{request_id}           SFAU
POST /requests/{request_id}/{verdict} FA
GET  /staff                           AU
POST /staff                           A
POST /staff/{name}/reset              A
POST /staff/{name}/disable            A
GET  /me                              SFAU
POST /me/password                     SFAU
GET  /payments                        SFAU
GET  /payments/{payment_id}           SFAU
POST /payments/{payment_id}/look-again FA
GET  /reviews                         SFAU
GET  /reviews/{reference}             SFAU
POST /reviews/{reference}/{verdict}   FA
GET  /lists                           SFAU
POST /lists                           FA
POST /lists/off                       FA
GET  /vouchers                        SFAU
GET  /vouchers/{batch_id}             SFAU
POST /vouchers/{batch_id}/move        FA
POST /vouchers/{batch_id}/block       FA
GET  /reconciliation                  FAU
GET  /reconciliation.csv              FAU
GET  /reconciliation/report           FAU
GET  /reconciliation/runs             FAU
GET  /reconciliation/figures          FAU
GET  /reconciliation/{which}          FAU
POST /reconciliation/{which}/assign   FA
POST /reconciliation/{which}/resolve  FA
GET  /disputes                        SFAU
POST /disputes                        SFA
GET  /disputes/{number}               SFAU
POST /disputes/{number}/assign        SFA
POST /disputes/{number}/resolve       FA
GET  /notifications                   SFAU
GET  /notifications/{message_id}      SFAU
POST /notifications/{message_id}/resend SFA
GET  /campaigns                       SAU
GET  /campaigns/{name}                SAU
GET  /ledger                          FAU
GET  /ledger/receivables              FAU
GET  /ledger/journal.csv              FAU
GET  /audit                           AU
GET  /audit.csv                       AU
GET  /dialogs                         SFAU
GET  /dialogs/{name}                  SFAU
GET  /dialogs/{name}/drawing.svg      SFAU
GET  /dashboard                       SFAU
GET  /dashboard/live                  SFAU
GET  /sign-in                         *
POST /sign-in                         *
POST /sign-out                        *
"""
LETTERS = {"S": Role.SUPPORT, "F": Role.FINANCE, "A": Role.ADMIN, "U": Role.AUDITOR}
ALLOWED = {
    (method, path.rstrip("/") or ""): letters for method, path, letters in map(str.split, TABLE.strip().splitlines())
}
#: what a page answers to somebody who may use it, whatever becomes of it
TAKEN = {200, 302, 303, 400, 404, 422}


def routes(console: Console) -> set[tuple[str, str]]:
    """Every route below /console, as the server itself knows it."""
    found = set()
    for resource in console.app.router.resources():
        if isinstance(resource, web.PrefixedSubAppResource) and resource.canonical == "/console":
            for route in resource:
                where = route.resource
                if where is not None and not isinstance(where, web.StaticResource) and route.method != "HEAD":
                    found.add((route.method, where.canonical.removeprefix("/console")))
    return found


@pytest_asyncio.fixture(loop_scope="session")
async def inside(console: Console) -> AsyncIterator[dict[Role, Client]]:
    """Somebody of each role, signed in."""
    clients = {}
    for role in Role:
        http = aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True))
        clients[role] = Client(console.url, http)
        await clients[role].sign_in(console.people[role])
    yield clients
    for one in clients.values():
        await one.http.close()


async def filled(console: Console, path: str) -> str:
    """A path with something that is there, or well-formed, in each of its places."""
    line = await console.engine.subscriber(console.services.operator.demo.subscribers[0].msisdn)
    places = {
        "line": write_line(LineRef(*line.account, line.line_id)),
        "kind": "adjust",
        "request_id": uuid4().hex,
        "verdict": "refuse",
        "name": "nobody",
        "payment_id": str(uuid4()),
        "reference": "7F3K2M",
        "batch_id": str(uuid4()),
        "which": str(uuid4()),
        "number": "1",
        "message_id": str(uuid4()),
    }
    return path.format(**places)


async def status(client: Client, method: str, path: str, **fields: str) -> tuple[int, str]:
    """What is answered, without waiting for the end of what never ends."""
    sent = {"data": fields} if method == "POST" else {}
    async with client.http.request(method, client.url + path, allow_redirects=False, **sent) as answer:
        return answer.status, answer.headers.get("Location", "")


async def test_every_route_is_in_the_table_and_lets_in_whom_it_says(
    console: Console, client: Client, inside: dict[Role, Client]
) -> None:
    assert routes(console) == set(ALLOWED)
    wrong = []
    for (method, pattern), letters in ALLOWED.items():
        path = await filled(console, pattern)
        if letters == "*":
            continue
        outside = await status(client, method, path)
        if outside != (302, "/console/sign-in"):
            wrong.append((method, path, "signed out", outside))
        for letter, role in LETTERS.items():
            got, _ = await status(inside[role], method, path, form=inside[role].token)
            if (got in TAKEN) is not (letter in letters) or (letter not in letters and got != 403):
                wrong.append((method, path, role, got))
    assert wrong == []


async def test_no_form_is_taken_without_the_session_s_own_token(console: Console, inside: dict[Role, Client]) -> None:
    for (method, pattern), letters in ALLOWED.items():
        if method == "POST":
            role = LETTERS.get(letters[-1], Role.ADMIN)
            other = inside[Role.SUPPORT if role is not Role.SUPPORT else Role.ADMIN].token
            path = await filled(console, pattern)
            for token in ("", other):
                assert (await status(inside[role], method, path, form=token))[0] == 403, path


async def test_every_answer_carries_the_policy_and_is_kept_by_nobody(
    client: Client, inside: dict[Role, Client]
) -> None:
    for one, path in ((client, "/sign-in"), (inside[Role.ADMIN], ""), (inside[Role.SUPPORT], "/staff")):
        async with one.http.get(one.url + path) as answer:
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'none'" in policy and "unsafe" not in policy
            assert answer.headers["Cache-Control"] == "no-store"
            page = await answer.text()
            assert "<style" not in page and " style=" not in page and "<script>" not in page and " onclick" not in page
