"""Settings: the environment over the file; what is wrong is refused by name."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from settings import PLAIN, PREFIX, SettingsError, load_operator, load_settings

ROOT = Path(__file__).resolve().parents[2]
KEY = "ab" * 32
FILE = f"""
database_url = "postgresql://file@db/rasid"
redis_url = "redis://file/0"
operator = "examples/kenya.toml"
port = 9000
keys = {{ 1 = "{KEY}" }}

[gateways.africastalking]
adapter = "africastalking"
septets = 160
allow = ["192.0.2.0/24"]
"""


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith(PREFIX) or name in PLAIN:
            monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "rasid.toml"
    path.write_text(FILE)
    return path


def refused(config: Path | None = None) -> dict[str, str]:
    with pytest.raises(SettingsError) as caught:
        load_settings(config)
    problems = dict(caught.value.problems)
    assert all(f"{name}: {reason}" in str(caught.value) for name, reason in problems.items())
    return problems


def test_a_file_alone_is_enough(file: Path) -> None:
    settings = load_settings(file)
    assert (settings.port, settings.gateways["africastalking"].septets) == (9000, 160)
    assert settings.owner_url == settings.database_url == "postgresql://file@db/rasid"
    assert settings.keyring().current == 1


def test_the_environment_overrules_the_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RASID_CONFIG", str(file))
    monkeypatch.setenv("DATABASE_URL", "postgresql://plain@db/rasid")
    monkeypatch.setenv("PORT", "9001")
    monkeypatch.setenv("RASID_KEYS", json.dumps({"7": KEY}))
    settings = load_settings()
    assert (settings.database_url, settings.port) == ("postgresql://plain@db/rasid", 9001)
    assert set(settings.keys) == {7}


def test_a_prefixed_variable_overrules_a_plain_one(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PORT", "9001")
    monkeypatch.setenv("RASID_PORT", "9002")
    assert load_settings(file).port == 9002


def test_what_is_missing_is_named() -> None:
    assert {"database_url", "redis_url", "operator", "keys"} <= refused().keys()


@pytest.mark.parametrize("key_id", ["-1", "32768", "one"])
def test_a_master_key_that_rows_cannot_name_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch, key_id: str
) -> None:
    monkeypatch.setenv("RASID_KEYS", json.dumps({key_id: KEY}))
    (setting,) = refused(file)
    assert setting.startswith(f"keys.{key_id}")


def test_a_book_at_home_is_not_said_to_live_elsewhere(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RASID_BOOKS", json.dumps({"history": "postgresql://file@db/rasid"}))
    assert "history with database_url's own address" in refused(file)["settings"]


def test_an_unknown_key_of_the_file_is_named(file: Path) -> None:
    file.write_text(FILE.replace("septets", "septet"))
    assert refused(file) == {"gateways.africastalking.septet": "no such setting"}


def test_an_unknown_variable_is_named_beside_every_other_problem(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RASID_PROT", "1")
    monkeypatch.setenv("RASID_PORT", "70000")
    assert refused(file).keys() == {"RASID_PROT", "port"}


@pytest.mark.parametrize(
    ("name", "value", "setting"),
    [
        ("DATABASE_URL", "mysql://db", "database_url"),
        ("REDIS_URL", "http://db", "redis_url"),
        ("PORT", "eighty", "port"),
        ("RASID_LANES", "0", "lanes"),
        ("RASID_KEYS", '{"1": "abc"}', "keys.1"),
        ("RASID_CARRIERS", "{}", "carriers"),
        ("RASID_CARRIERS", '{"x": {"adapter": "a", "prefixes": ["07x"]}}', "carriers.x.prefixes.0"),
        ("RASID_CARRIERS", '{"x": {"adapter": "a", "per_second": 0}}', "carriers.x.per_second"),
        ("RASID_TELEGRAM", '{"token": "1:a", "mode": "webhook"}', "telegram"),
        ("RASID_TELEGRAM", '{"token": "1:a", "public_url": "https://host/path"}', "telegram.public_url"),
        ("RASID_CARRIERS", '{"telegram": {"adapter": "a"}}', "carriers"),
        ("RASID_PUBLIC_URL", "https://host/path", "public_url"),
        ("RASID_GATEWAYS", '{"x": {"adapter": "a", "allow": ["nowhere"]}}', "gateways.x.allow.0"),
    ],
)
def test_a_wrong_value_is_named(
    file: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str, setting: str
) -> None:
    monkeypatch.setenv(name, value)
    assert setting in refused(file)


def test_books_may_live_elsewhere_under_owners_of_their_own(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RASID_BOOKS", json.dumps({"history": "postgresql://a/h", "receivables": "postgresql://b/r"}))
    monkeypatch.setenv("RASID_BOOK_OWNERS", json.dumps({"history": "postgresql://owner@a/h"}))
    settings = load_settings(file)
    assert settings.book_owner_urls == {"history": "postgresql://owner@a/h", "receivables": "postgresql://b/r"}


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("RASID_BOOKS", {"billing": "postgresql://a/b"}, "no book that can live elsewhere"),
        ("RASID_BOOKS", {"history": "mysql://a/b"}, "must start with postgresql://"),
        ("RASID_BOOK_OWNERS", {"history": "postgresql://a/b"}, "book_owners names history, which books does not"),
    ],
)
def test_books_that_cannot_live_elsewhere_are_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: dict[str, str], reason: str
) -> None:
    monkeypatch.setenv(variable, json.dumps(value))
    assert any(reason in said for said in refused(file).values())


def test_a_checkout_names_a_payment_gateway_that_is_there(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RASID_GATEWAYS", json.dumps({"gh": {"adapter": "hubtel", "checkout": "till"}}))
    assert "gateways.gh.checkout: there is no payment gateway till" in str(refused(file))
    monkeypatch.setenv("RASID_PAYMENT_GATEWAYS", json.dumps({"till": {"adapter": "hubtel"}}))
    assert load_settings(file).gateways["gh"].checkout == "till"


def test_a_variable_that_is_not_json_is_named(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RASID_GATEWAYS", "{")
    assert "gateways" in refused(file)["environment"]


def test_a_refusal_never_repeats_a_secret(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RASID_KEYS", json.dumps({"1": "5ecre7" * 5}))
    monkeypatch.setenv("RASID_DATABASE_URL", "mysql://rasid:5ecre7@db/rasid")
    with pytest.raises(SettingsError) as caught:
        load_settings(file)
    assert "5ecre7" not in str(caught.value)


def test_a_missing_or_broken_file_is_named(tmp_path: Path) -> None:
    missing = tmp_path / "none.toml"
    assert "cannot be read" in refused(missing)[str(missing)]
    broken = tmp_path / "broken.toml"
    broken.write_text("port = ")
    assert "is not TOML" in refused(broken)[str(broken)]


@pytest.mark.parametrize("name", ["kenya", "qatar"])
def test_a_sample_operator_is_accepted_with_lines_for_the_demo(name: str) -> None:
    operator = load_operator(ROOT / "examples" / f"{name}.toml")
    assert len(operator.demo.subscribers) >= 4
    units = {grant.unit for product in operator.products for grant in product.grants}
    assert units == {"octets", "seconds", "messages"}


@pytest.mark.parametrize(
    ("before", "after", "setting"),
    [
        ('currency = "KES"', 'currency = "KEX"', "currency"),
        ('country = "KE"', 'country = "XX"', "country"),
        ('timezone = "Africa/Nairobi"', 'timezone = "Africa/Nowhere"', "timezone"),
        ('languages = ["en", "sw"]', 'languages = ["en", "sw", "fr"]', "products.combo_week.name"),
        ('languages = ["en", "sw"]', 'languages = ["en"]', "demo.subscribers.1.language"),
        ('sw = "Mseto wa wiki"', 'sw = "Mseto wa wiki nzima kabisa"', "products.7.name.sw"),
        ('code = "combo_week"', 'code = "social_day"', "products"),
        ('code = "combo_week"', 'code = "airtime"', "products.7.code"),
        ("priority = 50 ", "priority = 40_000 ", "products.3.priority"),
        ("validity_days = 90 ", "validity_days = 40_000 ", "vouchers.validity_days"),
        ("price = 30_000", "price = 300.50", "products.7.price"),
        ("price = 30_000", "price = 10_000_000_000_000_000", "products.7.price"),
        ('pin = "2580"', 'pin = "25801"', "demo.subscribers.0.pin"),
        ('"+254712345001"', '"+254202345001"', "demo.subscribers.0.msisdn"),
        ('"+254712345002"', '"+254712345001"', "demo.subscribers"),
        ("alarm_tries", "alarm_trys", "vouchers.alarm_trys"),
        ("per_day = 5", 'quiet_from = "21:00"', "notifications"),
        ("{operator}: double", "{name}: double", "templates.weekend.en"),
        ("{operator}: double", "{operator!r}: double", "templates.weekend.en"),
        ("{operator}: double", "{operator: double", "templates.weekend.en"),
        ('sw = "{operator}: data', 'fr = "{operator}: data', "templates.weekend"),
    ],
)
def test_an_operator_that_contradicts_itself_is_refused_by_name(
    tmp_path: Path, before: str, after: str, setting: str
) -> None:
    text = (ROOT / "examples" / "kenya.toml").read_text()
    assert before in text
    path = tmp_path / "operator.toml"
    path.write_text(text.replace(before, after))
    with pytest.raises(SettingsError) as caught:
        load_operator(path)
    assert setting in dict(caught.value.problems)
