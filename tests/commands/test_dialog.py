"""``manage.py dialog``, run as a person runs it."""

from __future__ import annotations

import io
import os
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from babel.messages.pofile import read_po, write_po
from typer.testing import CliRunner

from commands import dialog
from commands.dialog_translate import faults, merged
from dialogs.catalogue import machine_of
from dialogs.drawing import SVG
from dialogs.ways import way_faults
from settings import Operator

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


@pytest.mark.parametrize("operator", ["kenya.toml", "qatar.toml", "mozambique.toml"])
def test_the_sample_operators_dialogs_pass_the_check(operator: str) -> None:
    done = CliRunner().invoke(dialog.app, ["check", "--operator", str(EXAMPLES / operator)])
    assert done.exit_code == 0 and "no problem" in done.output


def test_without_any_setting_the_sample_is_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [one for one in os.environ if one.startswith("RASID_") or one == "DATABASE_URL"]:
        monkeypatch.delenv(name)
    done = CliRunner().invoke(dialog.app, ["check"])
    assert done.exit_code == 0 and "no problem" in done.output


@pytest.mark.parametrize("given", [["xx"], ["en"], ["pt", "--out", "/nowhere/pt.po"], ["pt", "--in", "{latin}"]])
def test_what_cannot_be_translated_is_one_sentence(given: list[str], tmp_path: Path) -> None:
    latin = tmp_path / "latin.po"
    latin.write_bytes('msgid "Exit"\nmsgstr "Saída"\n'.encode("latin-1"))
    done = CliRunner().invoke(dialog.app, ["translate", *(one.format(latin=latin) for one in given)])
    assert done.exit_code == 2 and isinstance(done.exception, SystemExit) and done.output.strip()


def test_a_file_that_is_not_there_is_one_sentence() -> None:
    done = CliRunner().invoke(dialog.app, ["check", "--operator", "nowhere.toml"])
    assert done.exit_code == 2 and "nowhere.toml" in done.output


def test_the_drawing_names_every_money_step() -> None:
    done = CliRunner().invoke(dialog.app, ["draw", "--operator", str(EXAMPLES / "kenya.toml")])
    assert "recharge.confirm" in done.output and "bundles.confirm" in done.output


def test_the_picture_shows_what_the_screens_say_and_marks_money() -> None:
    done = CliRunner().invoke(
        dialog.app, ["draw", "bundles", "--operator", str(EXAMPLES / "kenya.toml"), "--format", "svg"]
    )
    root = ET.fromstring(done.output)
    states = {group.get("data-state"): group.get("class") for group in root.iter(f"{{{SVG}}}g")}
    assert states["bundles.confirm"] == "money" and states["bundles.done"] == "ends"
    assert "1 100 MB 1 day KES 20.00" in done.output


def test_a_dialog_that_is_not_there_is_one_sentence() -> None:
    done = CliRunner().invoke(dialog.app, ["draw", "bundels", "--operator", str(EXAMPLES / "kenya.toml")])
    assert done.exit_code == 2 and "no dialog bundels" in done.output


def test_a_way_longer_than_a_session_is_found(operator: Operator) -> None:
    found = list(way_faults(machine_of(operator), {"quick": 20, "patient": 180, "endless": 0}))
    assert found and {gateway for _, gateway, _ in found} == {"quick"}


def test_a_catalogue_goes_out_whole_and_comes_back_sound_or_not_at_all(tmp_path: Path, operator: Operator) -> None:
    out = tmp_path / "pt.po"
    assert CliRunner().invoke(dialog.app, ["translate", "pt", "--out", str(out)]).exit_code == 0
    catalogue = read_po(io.BytesIO(out.read_bytes()), locale="pt")
    assert merged(catalogue)[1] == 0 and faults("pt", operator, catalogue) == []
    catalogue["Balance: {balance}"].string = "Saldo"
    catalogue["Goodbye."].string = ""
    found = faults("pt", operator, catalogue)
    assert any("placeholders" in one for one in found) and any("not translated: 'Goodbye.'" in one for one in found)
    assert merged(catalogue)[1] == 2
    broken = tmp_path / "broken.po"
    write_to = io.BytesIO()
    write_po(write_to, catalogue)
    broken.write_bytes(write_to.getvalue())
    refused = CliRunner().invoke(dialog.app, ["translate", "pt", "--in", str(broken)])
    assert refused.exit_code == 1 and "is not taken" in refused.output
