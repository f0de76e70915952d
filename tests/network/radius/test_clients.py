"""Who may report, and how each client's reports are read."""

from __future__ import annotations

from typing import Any

import pytest

from engine.words import Subscriber, Unit
from network.radius.server import Clients, RadiusServer
from runtime.keyring import Keyring
from runtime.metrics import Metrics
from settings import RadiusSettings, SettingsError
from tests.engine.shop import credit
from tests.network.radius.conftest import House, OpenNas
from tests.network.radius.nas import SECRET, Nas


def settings(**clients: Any) -> RadiusSettings:
    given = {name: {"secret": SECRET, "rating_group": 10} | client for name, client in clients.items()}
    return RadiusSettings.model_validate({"host": "127.0.0.1", "port": 0, "clients": given})


def test_the_smallest_network_that_holds_an_address_counts() -> None:
    found = Clients(settings(all={"addresses": ["10.0.0.0/8"]}, one={"addresses": ["10.1.2.3"]}).clients)
    assert [source.name for host in ("10.1.2.3", "10.9.9.9") if (source := found.source(host))] == ["one", "all"]
    assert found.source("192.0.2.1") is None
    mapped = found.source("::ffff:10.1.2.3")
    assert mapped is not None and mapped.name == "one"


async def test_an_address_that_nobody_has_is_dropped_and_counted(
    house: House, line: Subscriber, nas: Nas, open_nas: OpenNas
) -> None:
    server = RadiusServer(
        house.engine, settings(far={"addresses": ["192.0.2.1"]}), Keyring({1: bytes(32)}), house.metrics
    )
    stranger = await open_nas(await server.start())
    stranger.send(stranger.made("Start", Acct_Session_Id="s1", Calling_Station_Id=line.msisdn))
    await nas.ask("Start", Acct_Session_Id="s1", Calling_Station_Id=line.msisdn)
    assert stranger.answers.empty()
    assert house.counted("unread", "unknown_client", "unknown") == 1
    await server.close()


async def test_a_client_that_counts_from_the_other_side_is_read_so(
    house: House, line: Subscriber, keyring: Keyring, open_nas: OpenNas
) -> None:
    # Only the sum is charged, so that is seen where seconds are: they are charged where the client says so.
    await credit(house.engine, line, 600, Unit.SECONDS)
    client = {"addresses": ["127.0.0.1"], "unit": "seconds", "swapped": True}
    server = RadiusServer(house.engine, settings(dial=client), keyring, house.metrics)
    nas = await open_nas(await server.start())
    await nas.ask(
        "Stop", Acct_Session_Id="s1", Calling_Station_Id=line.msisdn, Acct_Session_Time=45, Acct_Input_Octets=9
    )
    left = await house.engine.subscriber(line.msisdn)
    assert (left.total(Unit.SECONDS), left.total(Unit.OCTETS)) == (555, 10_000_000_000)
    await server.close()


async def test_a_rating_group_that_the_operator_does_not_have_is_refused_by_name(
    house: House, keyring: Keyring
) -> None:
    wrong = settings(bng={"addresses": ["127.0.0.1"], "rating_group": 77})
    with pytest.raises(SettingsError, match=r"radius\.clients\.bng\.rating_group: no category of the operator has 77"):
        RadiusServer(house.engine, wrong, keyring, Metrics())
