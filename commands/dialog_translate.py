"""``manage.py dialog translate``: what is missing or too long in each language, and catalogues in and out."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Annotated, get_args

import typer
from babel.messages.catalog import Catalog
from babel.messages.pofile import PoFileError, read_po, write_po
from rich.console import Console
from rich.table import Table

from channels.ussd.configured import fits
from commands.gateways import demo_profiles
from commands.installation import guarded, refuse
from commands.scratch import SAMPLE
from commands.tables import print_table
from dialogs.catalogue import declared
from dialogs.check import check, sentences
from dialogs.texts import CATALOGUES, Texts, read_catalogue
from dialogs.translations import message_fault, source_messages
from settings import Operator, load_operator

#: characters that a translator is told a catalogue's line may have
LINE_WIDTH = 110


def translate(
    language: Annotated[str | None, typer.Argument(help="A language's code; by default all are looked at.")] = None,
    *,
    out: Annotated[
        Path | None, typer.Option(help="Write the language's catalogue here, with all that is missing.")
    ] = None,
    take: Annotated[Path | None, typer.Option("--in", help="Take a translator's catalogue, once it is sound.")] = None,
    operator: Annotated[Path, typer.Option(help="Whose screens tell what is too long.")] = SAMPLE,
) -> None:
    """Tell what is missing or too long; exit code 1 if anything is. With --out and --in: catalogues for translators."""
    console = Console()
    known = guarded(lambda: load_operator(operator))
    if (out or take) and language is None:
        refuse("which language?")
    translated = tuple(one for one in spoken() if one != "en")
    if language is not None and language not in translated:
        refuse(f"{language} is none of {', '.join(translated)}")
    if out is not None and language is not None:
        catalogue, missing = merged(_catalogue(language))
        guarded(lambda: out.write_bytes(_po(catalogue)))
        console.print(f"{out}: {len(catalogue)} messages, {missing} not translated")
        return
    if take is not None and language is not None:
        _take(console, language, take, known)
        return
    found = {one: faults(one, known) for one in ((language,) if language else translated)}
    table = Table("language", "what")
    for one, problems in found.items():
        for problem in problems:
            table.add_row(one, problem)
    if table.row_count:
        print_table(table)
        raise typer.Exit(1)
    console.print(f"{', '.join(found)}: {len(source_messages())} messages each, nothing missing, nothing too long")


def spoken() -> tuple[str, ...]:
    """Every language that operators may name."""
    codes: tuple[str, ...] = get_args(get_args(Operator.model_fields["languages"].annotation)[0])
    return codes


def _catalogue(language: str) -> Catalog:
    try:
        return read_catalogue(language)
    except FileNotFoundError:
        return Catalog(locale=language, project="Rasid", fuzzy=False)


def merged(catalogue: Catalog) -> tuple[Catalog, int]:
    """A catalogue with an empty entry for all that it lacks, and how many those are; what nobody says is left out."""
    whole = Catalog(locale=catalogue.locale, project="Rasid", header_comment=catalogue.header_comment, fuzzy=False)
    missing = 0
    for message, plural in source_messages():
        known = catalogue.get(message)
        lacks = message_fault(catalogue, message, plural) is not None
        missing += lacks
        key = message if plural is None else (message, plural)
        whole.add(key, None if known is None else known.string, flags=() if known is None else known.flags)
    return whole, missing


def _po(catalogue: Catalog) -> bytes:
    written = io.BytesIO()
    write_po(written, catalogue, width=LINE_WIDTH)
    return written.getvalue()


def faults(language: str, operator: Operator, catalogue: Catalog | None = None) -> list[str]:
    """What is missing, wrong or too long in a language: as it stands, or as ``catalogue`` would have it."""
    one = operator.model_copy(update={"languages": (language,)})
    texts = Texts((language,), operator.timezone, read=read_catalogue if catalogue is None else lambda _: catalogue)
    problems = check(declared(one), one, texts, fits(demo_profiles()))
    return sentences(dict.fromkeys(problem for problem in problems if problem.dialog != "catalogue"))


def _take(console: Console, language: str, path: Path, operator: Operator) -> None:
    try:
        catalogue = read_po(io.BytesIO(guarded(path.read_bytes)), locale=language, abort_invalid=True)
    except (PoFileError, UnicodeDecodeError) as error:
        refuse(f"{path}: {error}")
    problems = faults(language, operator, catalogue)
    for problem in problems:
        console.print(problem, markup=False, highlight=False, soft_wrap=True)
    if problems:
        console.print(f"{path} is not taken", style="red", soft_wrap=True)
        raise typer.Exit(1)
    whole, _ = merged(catalogue)
    target = CATALOGUES / language / "LC_MESSAGES" / "rasid.po"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(_po(whole))
    console.print(f"{target}: {len(whole)} messages", style="green")
