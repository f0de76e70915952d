"""The description: made of what is mounted, whole, shown without asking anybody else; and what it says holds."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings, strategies
from jsonschema_rs import validator_for
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from engine.api import Engine
from network.interfaces import interfaces
from runtime.keyring import Keyring
from tests.engine.shop import open_line
from tests.network.api import ALL_KEY, Api

HOLDS = (not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance)


async def test_every_route_is_described_and_every_reference_leads_somewhere(
    api: Api, engine: Engine, keyring: Keyring
) -> None:
    said = await api.get("/api/openapi.json")
    described = said.body
    assert (said.status, described["openapi"]) == (200, "3.1.0")
    offered = {(one.path, one.method.lower()) for part in interfaces(engine, keyring) for one in part.endpoints}
    assert {(path, method) for path, methods in described["paths"].items() for method in methods} == offered
    names = set(described["components"]["schemas"])
    assert set(re.findall(r"#/components/schemas/(\w+)", said.raw.decode())) <= names
    for schema in described["components"]["schemas"].values():
        validator_for(schema | {"components": described["components"]})


async def test_the_page_shows_every_endpoint_and_asks_nobody_else(api: Api, engine: Engine, keyring: Keyring) -> None:
    async with Api(api.base, None) as anybody:
        said = await anybody.get("/api/docs")
    text = said.raw.decode()
    assert said.status == 200 and said.headers["Content-Security-Policy"].startswith("default-src 'none'")
    for part in interfaces(engine, keyring):
        assert part.name in text
        assert all(one.path in text for one in part.endpoints)
    assert not re.search(r"""(src|href)=['"]?(https?:)?//""", text) and "<script" not in text
    for linked in re.findall(r"href='#(\w+)'", text):
        assert f"id='{linked}'" in text


@pytest.mark.timeout(300)
async def test_whatever_is_sent_the_answer_is_one_that_was_described(api: Api, engine: Engine) -> None:
    line = await open_line(engine, money=100_000)
    schema = schemathesis.openapi.from_dict((await api.get("/api/openapi.json")).body)
    schema.config.update(base_url=api.base)
    for operation in schema.get_all_operations():
        await asyncio.to_thread(_fuzz, operation.ok(), line.msisdn)
    assert (await api.get("/api/docs")).status == 200


def _fuzz(operation: Any, msisdn: str) -> None:
    @settings(
        max_examples=12,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), known=strategies.booleans())
    def run(case: Any, known: bool) -> None:
        if known:
            _aim(case, msisdn)
        # Who chooses attributes gets those, required or not.
        part = bool(case.query) and "fields" in case.query
        case.call_and_validate(checks=HOLDS[:3] if part else HOLDS, headers={"Authorization": f"Bearer {ALL_KEY}"})

    run()


def _aim(case: Any, msisdn: str) -> None:
    """Let what was made up be about a line that there is, so that it gets further than the first look."""
    for name in ("logicalResource.id", "relatedParty.id"):
        if case.query and name in case.query:
            case.query[name] = msisdn
    if isinstance(case.body, dict):
        for name in ("logicalResource", "relatedParty"):
            if name in case.body:
                case.body[name] = [{"id": msisdn}]
        if "subscriberIdentifier" in case.body:
            case.body["subscriberIdentifier"] = f"msisdn-{msisdn[1:]}"
