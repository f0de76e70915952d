"""The pages for people: what they name is there, and links lead somewhere."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError
from typer.core import TyperGroup
from typer.main import get_command

from manage import app
from runtime.metrics import Metrics
from settings import PLAIN, PREFIX, Operator, Settings

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
ROOMS = (
    "bench channels commands configuration dialogs docs engine examples migrations network portal runtime sandbox tests"
)
NAMES = [page.relative_to(ROOT).as_posix() for page in PAGES]
#: what of a name in Prometheus' text stands behind the meter's own
ENDINGS = r"(_total|_count|_sum|_bucket)?$"

every_page = pytest.mark.parametrize("name", NAMES)


@cache
def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def blocks(name: str, *languages: str) -> list[str]:
    """The fenced blocks of a page that are in one of these languages."""
    found = re.findall(r"^ *```(\w*)\n(.*?)^ *```", text_of(name), flags=re.DOTALL | re.MULTILINE)
    return [body for language, body in found if language in languages]


def prose(name: str) -> str:
    return re.sub(r"^ *```.*?^ *```", "", text_of(name), flags=re.DOTALL | re.MULTILINE)


@cache
def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(page.relative_to(ROOT).as_posix()), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in headings}


@every_page
def test_links_lead_to_a_file_and_to_a_heading_that_are_there(name: str) -> None:
    astray = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(name)):
        where, _, anchor = target.partition("#")
        page = ((ROOT / name).parent / where).resolve() if where else ROOT / name
        if ":" in where:
            continue
        if not page.exists() or (anchor and anchor not in anchors(page)):
            astray.append(target)
    assert astray == []


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page in reached or page.suffix != ".md":
            continue
        reached.add(page)
        links = re.findall(r"\]\(([^)\s#]+)", prose(page.relative_to(ROOT).as_posix()))
        waiting += [(page.parent / one).resolve() for one in links if ":" not in one]
    assert [page.name for page in PAGES if page not in reached | {ROOT / "CHANGELOG.md"}] == []


@every_page
def test_every_setting_that_is_named_exists(name: str) -> None:
    known = {PREFIX + field.upper() for field in Settings.model_fields} | {f"{PREFIX}CONFIG"}
    assert set(re.findall(rf"\b{PREFIX}[A-Z_]*[A-Z]\b", text_of(name))) - known == set()


def test_the_readme_names_every_setting() -> None:
    plain = {field: variable for variable, field in PLAIN.items()}
    table = [line for line in text_of("README.md").splitlines() if line.startswith("| `")]
    named = {one for line in table for one in re.findall(r"`([A-Z_]+)`", line.split("|")[1])}
    assert {plain.get(field, PREFIX + field.upper()) for field in Settings.model_fields} - named == set()


@every_page
def test_every_file_that_is_named_exists(name: str) -> None:
    there = files()
    named = re.findall(rf"(?<![\w/.…-])((?:{ROOMS.replace(' ', '|')})/[\w/.-]*\w)", text_of(name))
    gone = [one for one in named if not any(f"/{one}{more}" in there for more in ("", ".py"))]
    assert gone == []


@cache
def files() -> frozenset[str]:
    """Every file and folder of the rooms, and each by the ends of its path."""
    found = set()
    for room in ROOMS.split():
        for path in (ROOT / room).rglob("*"):
            parts = path.relative_to(ROOT).parts
            found |= {"/" + "/".join(parts[start:]) for start in range(len(parts))}
    return frozenset(found | {f"/{room}" for room in ROOMS.split()})


@every_page
def test_every_meter_that_is_named_exists(name: str) -> None:
    named = set(re.findall(r"\brasid_[a-z_]+[a-z]", text_of(name))) - {"rasid_app"}
    assert {one for one in named if re.sub(ENDINGS, "", one) not in meters()} == set()


@cache
def meters() -> frozenset[str]:
    return frozenset(metric.name for metric in Metrics().registry.collect())


@every_page
def test_every_command_that_is_named_exists_with_its_options(name: str) -> None:
    assert list(wrong_commands(text_of(name))) == []


@pytest.mark.parametrize("folder", ["selfcare", "console", "simulator"])
def test_pages_in_the_browser_name_commands_that_exist(folder: str) -> None:
    templates = (ROOT / "portal" / folder / "templates").glob("*.html")
    assert [wrong for page in templates for wrong in wrong_commands(page.read_text(encoding="utf-8"))] == []


@cache
def command_line() -> Any:
    return get_command(app)


def wrong_commands(text: str) -> Iterator[str]:
    """Lines that begin with ``manage.py`` and name no command of ours, or an option that it does not have."""
    for line in re.findall(r"manage\.py ((?:-*[\w.+:/-]+ ?|[\"'<].*? )+)", text):
        command: Any = command_line()
        options = set(re.findall(r"(?<!\S)--[a-z-]+", line))
        for word in line.split():
            if not isinstance(command, TyperGroup) or word.startswith("-") or not command.commands:
                break
            if word.strip(".,:;") in command.commands:
                options -= {one for parameter in command.params for one in parameter.opts}
                command = command.commands[word.strip(".,:;")]
            # A group of a class of its own takes other words too, as ``reconcile`` the name of a gateway.
            elif type(command) is TyperGroup and not command.invoke_without_command:
                yield line
                break
            else:
                break
        options -= {one for parameter in command.params for one in parameter.opts}
        inner = command.commands.values() if isinstance(command, TyperGroup) else ()
        options -= {one for under in inner for parameter in under.params for one in parameter.opts}
        yield from (f"{line}: {one}" for one in sorted(options - {"--help"}))


@every_page
def test_what_is_posted_to_our_interfaces_says_that_it_is_json(name: str) -> None:
    commands = re.findall(r"^curl .*?(?=^curl |\Z)", "\n".join(blocks(name, "sh")), flags=re.DOTALL | re.MULTILINE)
    posted = [one for one in commands if re.search(r"/(nchf-|tmf-api/)", one) and re.search(r"\s-d\s", one)]
    assert [one for one in posted if "Content-Type: application/json" not in one] == []


@every_page
def test_settings_that_are_shown_would_be_taken(name: str) -> None:
    problems = []
    for body in blocks(name, "toml"):
        shown = tomllib.loads(body)
        if "title" not in shown:  # the data file of a USSD gateway
            problems += refused(shown)
    for body in [*blocks(name, "sh", ""), prose(name)]:
        for variable, value in re.findall(rf"{PREFIX}([A-Z_]+)='(\{{.*?\}})'", body, flags=re.DOTALL):
            if "{…}" not in value:
                problems += refused({variable.lower(): json.loads(value)})
    assert problems == []


def refused(shown: Mapping[str, Any]) -> list[str]:
    """What is wrong with settings, but for what was left out, or away behind an ellipsis."""
    problems = []
    for model, fields in ((Settings, Settings.model_fields), (Operator, Operator.model_fields)):
        given = {key: value for key, value in shown.items() if key in fields}
        try:
            if given:
                model.model_validate(given)
        except ValidationError as error:
            problems += [
                f"{one['loc']}: {one['msg']}"
                for one in error.errors()
                if one["type"] != "missing" and not set(str(one["input"])) & set("…<")
            ]
    return problems + [
        f"{key}: no such setting" for key in shown if key not in Settings.model_fields.keys() | Operator.model_fields
    ]
