"""From settings to carriers: found by folder, refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from channels.sms.configured import UnknownAdapter, carriers, doors, load_carrier, load_webhook, text_profiles
from channels.sms.contract import Tools
from channels.sms.pieces import pieces
from channels.sms.twilio.carrier import Carrier as Twilio
from runtime.keyring import Keyring
from settings import Operator, Settings, SettingsError
from tests.doubles.twilio import ACCOUNT, TOKEN

ROOT = Path(__file__).resolve().parents[3]
TWILIO = {"adapter": "twilio", "options": {"account_sid": ACCOUNT, "auth_token": TOKEN}}


def settings(**carriers: Any) -> Settings:
    return Settings(
        database_url="postgresql://localhost/x",
        redis_url="redis://localhost",
        operator=ROOT / "examples" / "kenya.toml",
        keys={1: "00" * 32},
        carriers=carriers,
    )


@pytest.fixture
def tools(redis_client: Redis, keyring: Keyring) -> Tools:
    return Tools(redis=redis_client, keyring=keyring, public_url="https://rasid.example")


@pytest.mark.parametrize("adapter", ["simulator", "twilio", "africastalking"])
def test_an_adapter_is_found_by_its_folder(adapter: str) -> None:
    assert load_carrier(adapter).__module__ == f"channels.sms.{adapter}.carrier"  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["twillio", "os.path", "..", ""])
def test_a_carrier_without_folder_is_refused_by_name(name: str) -> None:
    with pytest.raises(UnknownAdapter) as refused:
        load_carrier(name)
    assert refused.value.args == (name,)
    assert load_webhook(name) is None


async def test_each_carrier_of_the_settings_is_made_under_its_name(tools: Tools) -> None:
    whatsapp = TWILIO | {"channel": "whatsapp", "options": {**TWILIO["options"], "sender": "+14155238886"}}
    made = carriers(settings(main=TWILIO, whatsapp=whatsapp, sim={"adapter": "simulator"}), tools)
    assert set(made) == {"main", "whatsapp", "sim"}
    assert isinstance(made["whatsapp"], Twilio)


def test_only_who_calls_over_http_has_a_door() -> None:
    found = doors(
        settings(main={**TWILIO, "secret_path": "s3cret", "allow": ["10.0.0.0/8"]}, sim={"adapter": "simulator"})
    )
    assert [(door.name, door.secret, len(door.allow)) for door in found] == [("main", "s3cret", 1)]


def test_the_simulators_phone_has_a_door_only_while_the_simulator_is_on() -> None:
    off = settings(sim={"adapter": "simulator"})
    assert doors(off) == ()
    assert [door.name for door in doors(off.model_copy(update={"simulator": True}))] == ["sim"]


@pytest.mark.parametrize(
    ("carrier", "named"),
    [
        ({"adapter": "twillio"}, "carriers.main.adapter"),
        ({"adapter": "twilio", "options": {"account_sid": ACCOUNT}}, "carriers.main.options.auth_token"),
        ({"adapter": "simulator", "options": {"speed": 1}}, "carriers.main.options.speed"),
        ({**TWILIO, "channel": "whatsapp"}, "carriers.main.options.sender"),
    ],
)
async def test_what_is_wrong_is_refused_by_its_setting(tools: Tools, carrier: dict, named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        carriers(settings(main=carrier), tools)


@pytest.mark.parametrize("carrier", [{"adapter": "twillio"}, {"adapter": "twilio"}])
def test_the_server_refuses_it_too(carrier: dict) -> None:
    with pytest.raises(SettingsError, match=r"carriers\.main"):
        doors(settings(main=carrier))


def test_every_carrier_has_a_profile_of_the_operators_rules(operator: Operator) -> None:
    found = text_profiles(settings(main=TWILIO, sim={"adapter": "simulator"}), operator)
    assert set(found) == {"main", "sim"}
    assert found["main"].session_seconds == operator.texts.session_minutes * 60


def test_a_status_callback_goes_where_the_door_is(tools: Tools) -> None:
    assert tools.status_url("twilio") == "https://rasid.example/sms/twilio/status"
    assert Tools(redis=tools.redis, keyring=tools.keyring).status_url("twilio") == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n ", []),
        ("abc", ["abc"]),
        ("0123456789", ["0123456789"]),
        ("0123456 89ab", ["0123456", "89ab"]),
        ("012345\n7 9ab", ["012345", "7 9ab"]),
        ("0123456789abc", ["0123456789", "abc"]),
        ("0 23456789abc", ["0 23456789", "abc"]),
    ],
)
def test_a_long_text_is_cut_after_a_line_else_a_word_else_anywhere(text: str, expected: list[str]) -> None:
    assert pieces(text, 10) == expected
