"""What access servers report is charged once, whatever becomes of the packets that say it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from engine.words import LineStatus, Subscriber
from network.radius import server
from tests.engine.mediation.files import record, usage_file
from tests.network.radius.conftest import IMSI, House, OpenNas
from tests.network.radius.nas import Nas
from tests.network.test_gate import shut

GB = 1_000_000_000


def of(line: Subscriber, session: str = "s1", **more: Any) -> dict[str, Any]:
    """The attributes that say whose session it is."""
    return {"Calling_Station_Id": line.msisdn.removeprefix("+"), "Acct_Session_Id": session} | more


async def used(house: House, line: Subscriber) -> int:
    return 10 * GB - await house.left(line)


async def test_totals_are_charged_by_what_they_grow(house: House, nas: Nas, line: Subscriber) -> None:
    await nas.ask("Start", **of(line))
    await nas.ask("Interim-Update", **of(line, Acct_Input_Octets=1000, Acct_Output_Octets=5000, Acct_Session_Time=60))
    assert await used(house, line) == 6000
    await nas.ask("Interim-Update", **of(line, Acct_Input_Octets=1500, Acct_Output_Octets=9000, Acct_Session_Time=120))
    assert await used(house, line) == 10_500
    await nas.ask("Stop", **of(line, Acct_Input_Octets=2000, Acct_Output_Octets=10_000, Acct_Session_Time=130))
    assert await used(house, line) == 12_000
    assert await house.engine.sessions.open_sessions(line.account) == []


async def test_gigawords_count_how_often_the_counter_went_round(house: House, nas: Nas, line: Subscriber) -> None:
    await nas.ask("Start", **of(line))
    await nas.ask("Stop", **of(line, Acct_Output_Octets=7, Acct_Output_Gigawords=2, Acct_Input_Octets=5))
    assert await used(house, line) == 2 * 2**32 + 12


async def test_the_same_packet_twice_is_answered_alike_and_charged_once(
    house: House, nas: Nas, line: Subscriber
) -> None:
    request = nas.made("Interim-Update", **of(line, Acct_Output_Octets=5000, Acct_Session_Time=60))
    nas.send(request)
    first = await nas.answered(request)
    nas.send(request)
    second = await nas.answered(request)
    assert first.raw_packet == second.raw_packet
    assert await used(house, line) == 5000


async def test_a_burst_of_one_packet_is_charged_once(house: House, nas: Nas, line: Subscriber) -> None:
    request = nas.made("Interim-Update", **of(line, Acct_Output_Octets=5000, Acct_Session_Time=60))
    for _ in range(20):
        nas.send(request)
    await nas.answered(request)
    await nas.ask("Interim-Update", **of(line, Acct_Output_Octets=5001, Acct_Session_Time=61))
    assert await used(house, line) == 5001


async def test_a_packet_that_waited_and_comes_again_adds_nothing(house: House, nas: Nas, line: Subscriber) -> None:
    said = of(line, Acct_Output_Octets=5000, Acct_Session_Time=60)
    await nas.ask("Interim-Update", **said)
    await nas.ask("Interim-Update", **said, Acct_Delay_Time=5)
    assert await used(house, line) == 5000


async def test_a_wait_that_nobody_can_have_counted_keeps_no_report_from_being_recorded(
    house: House, nas: Nas, line: Subscriber
) -> None:
    await nas.ask("Start", **of(line))
    await nas.ask("Interim-Update", **of(line, Acct_Output_Octets=5000, Acct_Delay_Time=2**32 - 1))
    assert await used(house, line) == 5000
    await nas.ask("Accounting-On", Acct_Delay_Time=2**32 - 1)
    assert await house.engine.sessions.open_sessions(line.account) == []


async def test_reports_in_the_wrong_order_come_to_the_same_total(house: House, nas: Nas, line: Subscriber) -> None:
    await nas.ask("Stop", **of(line, Acct_Output_Octets=9000, Acct_Session_Time=180))
    await nas.ask("Interim-Update", **of(line, Acct_Output_Octets=3000, Acct_Session_Time=60))
    await nas.ask("Interim-Update", **of(line, Acct_Output_Octets=6000, Acct_Session_Time=120))
    await nas.ask("Start", **of(line, Acct_Delay_Time=240))
    assert await used(house, line) == 9000
    assert await house.engine.sessions.open_sessions(line.account) == []


async def test_a_lost_start_loses_nothing(house: House, nas: Nas, line: Subscriber) -> None:
    await nas.ask("Interim-Update", **of(line, Acct_Output_Octets=3000, Acct_Session_Time=60))
    await nas.ask("Stop", **of(line, Acct_Output_Octets=4000, Acct_Session_Time=61))
    assert await used(house, line) == 4000


async def test_a_session_id_that_is_used_again_is_a_new_session(house: House, nas: Nas, line: Subscriber) -> None:
    for session_time in (10, 11):
        await nas.ask("Start", **of(line, Event_Timestamp=int(time.time()) + session_time))
        await nas.ask("Stop", **of(line, Acct_Output_Octets=4000, Acct_Session_Time=session_time))
    assert await used(house, line) == 8000


async def test_sessions_of_one_id_are_told_apart_by_what_else_names_them(
    house: House, nas: Nas, line: Subscriber
) -> None:
    for more in ({}, {"NAS_Port": 7}, {"Class": b"another"}, {"NAS_Identifier": "bng-2"}):
        await nas.ask("Interim-Update", **of(line, Acct_Output_Octets=1000, **more))
    assert await used(house, line) == 4000


async def test_an_access_server_that_starts_anew_ends_its_sessions_and_no_others(
    house: House, nas: Nas, line: Subscriber, open_nas: OpenNas
) -> None:
    other = await open_nas(house.port, "bng-2")
    await other.ask("Start", **of(line, "theirs"))
    for session in ("a", "b"):
        await nas.ask("Start", **of(line, session))
    await nas.ask("Accounting-On")
    remaining = await house.engine.sessions.open_sessions(line.account)
    assert [one.node for one in remaining] == ["bng/bng-2"]
    await other.ask("Accounting-Off")
    assert await house.engine.sessions.open_sessions(line.account) == []


async def test_a_restart_that_is_told_again_ends_no_session_that_opened_since(
    house: House, nas: Nas, line: Subscriber, monkeypatch: pytest.MonkeyPatch
) -> None:
    restart = nas.made("Accounting-On")
    for _ in range(2):
        nas.send(restart)
        await nas.answered(restart)
        await nas.ask("Start", **of(line))
    assert len(await house.engine.sessions.open_sessions(line.account)) == 1
    # Whoever starts anew later may say so in the same octets.
    monkeypatch.setattr(server, "SAME_RESTART", 0.0)
    nas.send(restart)
    await nas.answered(restart)
    assert await house.engine.sessions.open_sessions(line.account) == []


async def test_who_came_back_after_a_restart_under_the_same_name_is_charged_from_nothing(
    house: House, nas: Nas, line: Subscriber
) -> None:
    await nas.ask("Interim-Update", **of(line, Acct_Output_Octets=9000))
    await nas.ask("Accounting-On")
    await nas.ask("Start", **of(line, Event_Timestamp=int(time.time()) + 30))
    await nas.ask("Interim-Update", **of(line, Acct_Output_Octets=100))
    assert await used(house, line) == 9100


async def test_use_beyond_what_is_left_is_acknowledged_and_never_goes_below_nothing(
    house: House, nas: Nas, line: Subscriber
) -> None:
    await nas.ask("Stop", **of(line, Acct_Output_Octets=0, Acct_Output_Gigawords=4))
    assert await house.left(line) == 0


@pytest.mark.parametrize(
    "said",
    [
        {"3GPP-IMSI": IMSI, "User_Name": "nobody"},
        {"Chargeable_User_Identity": "{msisdn}"},
        {"User_Name": "{msisdn}@isp.example"},
        {"Calling_Station_Id": "00-11-22-33-44-55", "User_Name": "{msisdn}"},
    ],
)
async def test_the_line_is_found_by_the_attributes_of_the_settings(
    house: House, nas: Nas, line: Subscriber, said: dict[str, str]
) -> None:
    attributes = {name: value.format(msisdn=line.msisdn) for name, value in said.items()}
    await nas.ask("Stop", Acct_Session_Id="s1", Acct_Output_Octets=500, **attributes)
    assert await used(house, line) == 500


async def test_what_cannot_be_recorded_is_not_answered(house: House, nas: Nas, line: Subscriber) -> None:
    await nas.unanswered(
        nas.made("Stop", Acct_Session_Id="s1", Calling_Station_Id="254799999999", Acct_Output_Octets=1),
        nas.made("Start", **of(line)),
    )
    assert house.counted("stop", "unknown_line") == 1


async def test_a_session_that_began_on_a_barred_line_is_recorded_and_answered(
    house: House, nas: Nas, line: Subscriber
) -> None:
    await house.engine.accounts.set_status(line, LineStatus.BARRED, reason="test", by="test")
    await nas.ask("Start", **of(line))
    await nas.ask("Interim-Update", **of(line, Acct_Output_Octets=1000))
    assert await used(house, line) == 1000
    (session,) = await house.engine.sessions.open_sessions(line.account)
    assert session.interface == "radius"


async def test_without_a_database_nothing_is_answered_and_nobody_is_blamed(
    house: House, nas: Nas, line: Subscriber, postgres_url: str, database_url: str
) -> None:
    report = nas.made("Stop", **of(line, Acct_Output_Octets=1000))
    with shut(postgres_url, database_url):
        nas.send(report)
        async with asyncio.timeout(20):
            while not house.counted("stop", "unavailable"):  # noqa: ASYNC110 - the server's doing
                await asyncio.sleep(0.05)
        assert nas.answers.empty()
    nas.send(report)
    await nas.answered(report)
    assert (await used(house, line), house.counted("stop", "failed")) == (1000, 0)


async def test_a_wrong_secret_is_dropped_and_counted(house: House, nas: Nas, line: Subscriber) -> None:
    await nas.unanswered(
        nas.made("Stop", secret="another", **of(line, Acct_Output_Octets=1000)), nas.made("Start", **of(line))
    )
    assert house.counted("unread", "bad_secret") == 1
    assert await used(house, line) == 0


async def test_a_wrong_message_authenticator_is_dropped(house: House, nas: Nas, line: Subscriber) -> None:
    forged = nas.made("Stop", **of(line, Acct_Output_Octets=1000))
    forged["Message-Authenticator"] = bytes(16)
    good = nas.made("Start", **of(line))
    good.add_message_authenticator()
    await nas.unanswered(forged, good)
    assert house.counted("unread", "bad_secret") == 1


@pytest.mark.parametrize(
    "attributes",
    [
        {"Acct_Session_Id": None},
        {"Acct_Status_Type": 15},
        {"NAS_Identifier": "bell\x07"},
        {"Acct_Input_Gigawords": 2**32 - 1},
    ],
)
async def test_a_packet_without_what_it_must_say_is_dropped_and_counted(
    house: House, nas: Nas, line: Subscriber, attributes: dict[str, Any]
) -> None:
    said = of(line) | attributes
    await nas.unanswered(nas.made("Stop", **said), nas.made("Start", **of(line)))
    malformed = sum(house.counted(kind, "malformed") for kind in ("stop", "unread"))
    assert malformed == 1


@pytest.mark.parametrize(
    "raw", [b"", b"\x04\x01\x00\x14", b"\x04\x01\x00\x10" + bytes(16), b"\x04\x01\xff\xff" + bytes(30)]
)
async def test_what_is_no_packet_is_dropped_and_counted(house: House, nas: Nas, line: Subscriber, raw: bytes) -> None:
    await nas.unanswered(raw, nas.made("Start", **of(line)))
    assert house.counted("unread", "malformed") == (1 if raw else house.counted("unread", "malformed"))


async def test_proxy_states_come_back_in_their_order(house: House, nas: Nas, line: Subscriber) -> None:
    request = nas.made("Start", **of(line))
    for state in (b"first", b"second"):
        request.AddAttribute("Proxy-State", state)
    nas.send(request)
    answer = await nas.answered(request)
    assert answer["Proxy-State"] == [b"first", b"second"]


async def test_no_number_is_stored_with_a_session(house: House, nas: Nas, line: Subscriber) -> None:
    await nas.ask("Start", **of(line, User_Name=line.msisdn))
    (session,) = await house.engine.sessions.open_sessions(line.account)
    kept = f"{session.session_id} {session.node} {session.notify}"
    digits = line.msisdn.removeprefix("+")
    assert digits not in kept and digits.encode().hex() not in kept


async def test_a_record_of_a_session_that_was_charged_here_is_found_by_its_id(
    house: House, nas: Nas, line: Subscriber
) -> None:
    await nas.ask("Start", **of(line, "4711"))
    await nas.ask("Stop", **of(line, "4711", Acct_Output_Octets=1000))
    told = record(line, "4711", 1000, end=datetime.now(UTC).isoformat())
    file = await house.engine.mediation.import_usage(usage_file([told], interface="radius"))
    assert (file.records, await used(house, line)) == (1, 1000)
