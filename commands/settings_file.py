"""The settings of a running demo as a file, so that other commands work on the same installation."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from commands.files import whole
from settings import Settings

NAME = "settings.toml"
#: how the temporary folders of demos begin, which end with them
TEMPORARY = "rasid-demo-"
HEADING = "# Of a running demo: it holds secrets, and the addresses end with it.\n"


def write_settings(settings: Settings, folder: Path) -> Path:
    """Write all that is not the default into ``folder``, for nobody else to read; returns the file.

    It is there whole or not at all: what was there before is replaced. ``settings.load_settings`` reads it.
    """
    path = folder / NAME
    content: dict[str, Any] = settings.model_dump(mode="json", exclude_defaults=True)
    with (
        whole(path) as partial,
        os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file,
    ):
        file.write(HEADING)
        file.writelines(f"{name} = {_toml(value)}\n" for name, value in content.items())
    return path


def written_by_a_demo(path: Path) -> bool:
    """Whether a file is what ``write_settings`` wrote, or was: of an earlier run, nobody's wish for the next."""
    if path.name == NAME and path.parent.name.startswith(TEMPORARY) and not path.exists():
        return True
    with suppress(OSError), path.open(encoding="utf-8", errors="replace") as file:
        return file.readline() == HEADING
    return False


def _toml(value: Any) -> str:
    """A value in one line. Strings, numbers and booleans are written alike in JSON and TOML; tables are inline."""
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{json.dumps(str(name))} = {_toml(one)}' for name, one in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(_toml(one) for one in value)}]"
    return json.dumps(value, ensure_ascii=False)
