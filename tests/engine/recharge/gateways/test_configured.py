"""From settings to gateways: found by folder, refused by name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.recharge.gateways.configured import UnknownAdapter, gateway_routes, load_gateway, payment_gateways
from engine.words import PaymentMethod
from settings import Settings, SettingsError, load_settings

ROOT = Path(__file__).resolve().parents[4]
SANDBOX = {
    "adapter": "sandbox",
    "options": {"base_url": "http://127.0.0.1:9", "api_key": "k", "webhook_secrets": ["whsec_one", "whsec_two"]},
}
MPESA = {
    "adapter": "mpesa",
    "options": {"consumer_key": "k", "consumer_secret": "s", "shortcode": "600638", "passkey": "p"},
}
STRIPE = {"adapter": "stripe", "options": {"secret_key": "sk", "webhook_secrets": ["whsec_one"]}}


def settings(public_url: str = "https://rasid.example", **gateways: Any) -> Settings:
    return Settings(
        database_url="postgresql://localhost/x",
        redis_url="redis://localhost",
        operator=ROOT / "examples" / "kenya.toml",
        keys={1: "00" * 32},
        public_url=public_url,
        payment_gateways=gateways,
    )


@pytest.mark.parametrize("adapter", ["sandbox", "mpesa", "stripe", "acquirer"])
def test_an_adapter_is_found_by_its_folder(adapter: str) -> None:
    assert load_gateway(adapter).__module__ == f"engine.recharge.gateways.{adapter}.gateway"  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["strype", "os.path", "..", "", "contract"])
def test_a_gateway_without_folder_is_refused_by_name(name: str) -> None:
    with pytest.raises(UnknownAdapter) as refused:
        load_gateway(name)
    assert refused.value.args == (name,)


def test_each_gateway_of_the_settings_is_made_under_its_name() -> None:
    made = payment_gateways(settings(cards=STRIPE, money=MPESA, play={**SANDBOX, "methods": ["bank"]}))
    assert {name: gateway.name for name, gateway in made.items()} == {
        "cards": "cards",
        "money": "money",
        "play": "play",
    }
    assert made["play"].methods == {PaymentMethod.BANK}
    assert made["money"].methods == {PaymentMethod.MOBILE_MONEY}


def test_no_gateway_is_needed() -> None:
    assert payment_gateways(settings()) == {}


@pytest.mark.parametrize(
    ("gateway", "named"),
    [
        ({"adapter": "strype"}, r"payment_gateways\.cards\.adapter"),
        ({"adapter": "stripe"}, r"payment_gateways\.cards\.options\.secret_key"),
        ({**STRIPE, "methods": ["mobile_money"]}, r"payment_gateways\.cards\.methods"),
        ({**STRIPE, "options": {**STRIPE["options"], "key": "x"}}, r"payment_gateways\.cards\.options\.key"),
        ({**SANDBOX, "options": {**SANDBOX["options"], "base_url": "ftp://x"}}, r"options\.base_url"),
        ({**STRIPE, "options": {**STRIPE["options"], "webhook_secrets": ["short"]}}, r"options\.webhook_secrets\.0"),
    ],
)
def test_what_is_wrong_is_refused_by_its_setting(gateway: dict[str, Any], named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        payment_gateways(settings(cards=gateway))


def test_a_gateway_that_must_call_us_needs_to_know_where() -> None:
    with pytest.raises(SettingsError, match=r"payment_gateways\.money\.callback_base: this or public_url"):
        payment_gateways(settings(public_url="", money=MPESA))
    own = {**MPESA, "callback_base": "https://callbacks.example"}
    assert payment_gateways(settings(public_url="", money=own))


def test_no_secret_is_shown() -> None:
    given = settings(cards={**STRIPE, "options": {"secret_key": "sk_live_secret", "webhook_secrets": ["whsec_secret"]}})
    assert "sk_live" not in repr(given) and "whsec" not in repr(given)
    with pytest.raises(SettingsError) as refused:
        payment_gateways(settings(cards={**STRIPE, "options": {"secret_key": "sk_live_secret"}}))
    assert "sk_live" not in str(refused.value)


def test_gateways_stand_in_the_settings_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("RASID_CONFIG", raising=False)
    file = tmp_path / "rasid.toml"
    file.write_text(
        f"""
        database_url = "postgresql://localhost/x"
        redis_url = "redis://localhost"
        operator = "{ROOT / "examples" / "kenya.toml"}"
        [keys]
        1 = "{"00" * 32}"
        [payment_gateways.cards]
        adapter = "stripe"
        cost = 30
        timeout_seconds = 8
        allow = ["192.0.2.0/24"]
        [payment_gateways.cards.options]
        secret_key = "sk_test_1"
        webhook_secrets = ["whsec_new", "whsec_old"]
        """
    )
    loaded = load_settings(file)
    made = payment_gateways(loaded)
    assert gateway_routes(loaded, made).best(PaymentMethod.CARD) == ["cards"]
