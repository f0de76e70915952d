"""``commands.tables``: whatever is shown can be copied whole."""

from __future__ import annotations

import pytest
from rich.table import Table

from commands.tables import print_table

ID = "cb3c705a-59d8-55f2-a889-e0f1f2f3f4f5"
ADDRESS = "otpauth://totp/Rasid%20Kenya:amina?secret=6P4IATCQJEU6TOEK6JNHF2GLZG6LBS2D&issuer=Rasid%20Kenya"


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"COLUMNS": "60", "LINES": "25", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def terminal(narrow: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TTY_COMPATIBLE", "1")


def files() -> Table:
    table = Table("file", "source", "records", "set aside", "done", "id", title="files")
    table.add_row("today.csv.gz", "ggsn", "1", "3", "yes", ID)
    return table


def test_a_pipe_gets_each_row_in_one_line_however_narrow(narrow: None, capsys: pytest.CaptureFixture[str]) -> None:
    print_table(files())
    rows = [line for line in capsys.readouterr().out.splitlines() if "today.csv.gz" in line]
    assert len(rows) == 1
    assert ID in rows[0]


def test_a_narrow_terminal_gets_a_line_for_each_column(terminal: None, capsys: pytest.CaptureFixture[str]) -> None:
    print_table(files())
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert "files" in lines
    assert f"id {ID}" in lines
    assert "set aside 3" in lines
    assert max(map(len, lines)) <= 60


def test_a_table_of_few_columns_stays_one_and_cuts_nothing(terminal: None, capsys: pytest.CaptureFixture[str]) -> None:
    table = Table.grid(padding=(0, 2))
    table.add_row("For an app", ADDRESS)
    print_table(table)
    shown = "".join(capsys.readouterr().out.replace("For an app", "").split())
    assert shown == ADDRESS


def test_what_fits_is_shown_as_a_table(terminal: None, capsys: pytest.CaptureFixture[str]) -> None:
    print_table(Table("bill", "from", "to", "amount", "open", "due"))
    assert "bill ┃ from ┃ to ┃ amount ┃ open ┃ due" in capsys.readouterr().out
