"""``manage.py dialog``, run as a person runs it."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from commands import dialog

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.parametrize("operator", ["kenya.toml", "qatar.toml", "mozambique.toml"])
def test_the_sample_operators_dialogs_pass_the_check(operator: str) -> None:
    done = CliRunner().invoke(dialog.app, ["check", "--operator", str(EXAMPLES / operator)])
    assert done.exit_code == 0 and "no problem" in done.output


def test_a_file_that_is_not_there_is_one_sentence() -> None:
    done = CliRunner().invoke(dialog.app, ["check", "--operator", "nowhere.toml"])
    assert done.exit_code == 2 and "nowhere.toml" in done.output


def test_the_drawing_names_every_money_step() -> None:
    done = CliRunner().invoke(dialog.app, ["draw", "--operator", str(EXAMPLES / "kenya.toml")])
    assert "recharge.confirm" in done.output and "bundles.confirm" in done.output
