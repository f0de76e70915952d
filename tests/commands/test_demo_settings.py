"""What a person has set holds in the demo too: it fills in what is missing, and no more."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from commands.demo import _set_environment
from commands.settings_file import write_settings, written_by_a_demo
from settings import PLAIN, PREFIX, given_settings, load_settings

FILE = """
portal = { trusted_proxies = ["10.0.0.0/8"] }

[gateways.till]
adapter = "hubtel"
"""


@pytest.fixture(autouse=True)
def _environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "rasid.toml"
    path.write_text(FILE)
    # Put back afterwards, whatever the demo sets.
    monkeypatch.setattr(os, "environ", {name: value for name, value in os.environ.items() if name not in PLAIN})
    for name in [name for name in os.environ if name.startswith(PREFIX)]:
        del os.environ[name]
    os.environ |= {"RASID_CONFIG": str(path), "DATABASE_URL": "postgresql://db/rasid", "REDIS_URL": "redis://cache/0"}


def test_a_settings_file_holds_in_the_demo(tmp_path: Path) -> None:
    _set_environment(tmp_path, None, None)
    settings = load_settings()
    assert list(settings.gateways) == ["till"]
    assert [str(one) for one in settings.portal.trusted_proxies] == ["10.0.0.0/8"]  # type: ignore[union-attr]
    assert settings.simulator and "twilio" in settings.carriers, "what the file does not say is the demo's"


def test_what_file_and_environment_say_is_given() -> None:
    assert {"database_url", "redis_url", "gateways", "portal"} <= given_settings()
    assert "keys" not in given_settings()


def test_the_command_line_is_above_the_file(tmp_path: Path) -> None:
    (tmp_path / "rasid.toml").write_text('operator = "elsewhere.toml"\nport = 9000\n')
    _set_environment(tmp_path, Path("examples/qatar.toml"), 9001)
    settings = load_settings()
    assert settings.operator.name == "qatar.toml" and settings.port == 9001


def test_a_file_that_a_demo_wrote_is_nobodys_wish(tmp_path: Path) -> None:
    _set_environment(tmp_path, None, None)
    assert written_by_a_demo(write_settings(load_settings(), tmp_path))
    # Who told their shell of a demo that has ended since starts another.
    assert written_by_a_demo(Path("/tmp/rasid-demo-gone/settings.toml"))
    assert not written_by_a_demo(tmp_path / "rasid.toml")
    assert not written_by_a_demo(tmp_path / "nowhere.toml")
