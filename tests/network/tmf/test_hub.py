"""TM Forum's hub: subscriptions belong to the client that made them."""

from __future__ import annotations

from engine.api import Engine
from tests.network.api import READ_KEY, Api
from tests.network.tmf.system import BALANCES

PATH = f"{BALANCES}/hub"
CALLBACK = "https://crm.example.com/listener"


async def test_a_subscription_is_made_listed_and_ended_and_its_secret_told_once(api: Api, engine: Engine) -> None:
    asked = {"callback": CALLBACK, "query": "eventType=ProvisioningChangedEvent"}
    made = await api.post(PATH, asked)
    assert made.status == 201 and len(made.body["secret"]) >= 32
    assert {name: made.body[name] for name in asked} == asked
    (listed,) = (await api.get(PATH)).body
    assert listed == {"id": made.body["id"], **asked}
    assert (await engine.events.list())[0].made_by == "api:crm"
    assert (await api.ask("DELETE", made.headers["Location"])).status == 204
    assert (await api.ask("DELETE", made.headers["Location"])).status == 404
    assert (await api.get(PATH)).body == []


async def test_a_secret_of_the_client_s_own_is_not_sent_back(api: Api) -> None:
    made = await api.post(PATH, {"callback": CALLBACK, "secret": "s" * 32})
    assert made.status == 201 and "secret" not in made.body


async def test_what_cannot_be_subscribed_is_named(api: Api) -> None:
    for asked, field in (
        ({"callback": "ftp://x"}, "callback"),
        ({"callback": "https://127.0.0.1/x"}, "callback"),
        ({"callback": CALLBACK, "query": "eventType=Nothing"}, "query"),
        ({"callback": CALLBACK, "secret": "short"}, "secret"),
        ({}, "callback"),
    ):
        said = await api.post(PATH, asked)
        assert (said.status, said.body["message"].partition(":")[0]) == (400, field), said.body


async def test_another_client_s_subscription_is_not_seen_nor_ended(api: Api, engine: Engine) -> None:
    made = await engine.events.subscribe(CALLBACK, secret="s" * 32, by="api:other")
    assert (await api.get(PATH)).body == []
    assert (await api.ask("DELETE", f"{PATH}/{made.subscription_id}")).status == 404
    assert len(await engine.events.list()) == 1
    async with Api(api.base, READ_KEY) as reader:
        assert (await reader.post(PATH, {"callback": CALLBACK})).status == 403
