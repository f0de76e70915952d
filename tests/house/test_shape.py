"""The shape of the code: what is public says what it is for, and nothing is too long to be read at once."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
#: lines
MODULE_MOST, FUNCTION_MOST = 300, 50

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def modules() -> dict[str, str]:
    """Every module of the product with its text; migrations stay as they were run."""
    rooms = [path.parent for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests"]
    paths = [*ROOT.glob("*.py"), *(path for room in rooms for path in room.rglob("*.py"))]
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in sorted(paths)}


@cache
def functions() -> dict[str, Function]:
    """Every function by where it stands, methods and nested ones too."""
    return {f"{name}:{one.lineno} {one.name}": one for name, text in modules().items() for one in walked(text)}


def walked(text: str) -> Iterator[Function]:
    """The functions of one module."""
    return (node for node in ast.walk(ast.parse(text)) if isinstance(node, Function))


def test_every_public_function_says_what_it_is_for_nested_ones_too() -> None:
    public = {where: one for where, one in functions().items() if not one.name.startswith("_")}
    assert [where for where, one in public.items() if not ast.get_docstring(one)] == []


def test_no_function_is_longer_than_a_screen() -> None:
    long = [where for where, one in functions().items() if (one.end_lineno or 0) - one.lineno >= FUNCTION_MOST]
    assert long == []


def test_no_module_is_longer_than_can_be_read_at_once() -> None:
    assert [name for name, text in modules().items() if text.count("\n") > MODULE_MOST] == []


@pytest.mark.parametrize("room", ["bench", "channels", "commands", "dialogs", "engine", "network", "portal", "runtime"])
def test_the_rooms_are_all_looked_at(room: str) -> None:
    assert sum(name.startswith(f"{room}/") for name in modules()) > 5
