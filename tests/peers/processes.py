"""Message centres that others wrote, as processes: the npm package ``smpp`` and the example of Perl's Net::SMPP."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import REASON

HERE = Path(__file__).resolve().parent
NPM_PACKAGE = "smpp@0.5.1"
PERL_EXAMPLE = Path("/usr/share/doc/libnet-smpp-perl/examples/smsc.pl")


def lacking(what: str) -> None:
    """Skip the test for want of a peer; fail it where peers are required."""
    if os.environ.get("REQUIRE_PEERS") == "1":
        pytest.fail(f"{REASON}{what} (REQUIRE_PEERS=1)", pytrace=False)
    pytest.skip(REASON + what)


def npm_package(folder: Path) -> Path:
    """Where the package lies, fetched once into ``folder``, whoever asks first."""
    home = folder / "node_modules" / "smpp"
    if home.is_dir():
        return home
    with tempfile.TemporaryDirectory(dir=folder.parent) as fresh:
        argv = ["npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", fresh, NPM_PACKAGE]
        if shutil.which("npm") is None or subprocess.run(argv, capture_output=True, check=False).returncode != 0:
            lacking(f"npm package {NPM_PACKAGE}")
        try:
            (Path(fresh) / "node_modules").rename(folder / "node_modules")
        except OSError:  # another worker was faster
            assert home.is_dir()
    return home


class NpmSmsc:
    """The npm message centre, steered over its standard input; see ``npm_smpp_smsc.js``."""

    def __init__(self, package: Path) -> None:
        self._package = package
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self.events: list[dict[str, Any]] = []
        self.port = 0

    async def start(self) -> None:
        argv = ["node", str(HERE / "npm_smpp_smsc.js"), str(self._package)]
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe)
        self._reader = asyncio.create_task(self._read())
        self.port = (await self.wait("listening"))["port"]

    async def stop(self) -> None:
        assert self._process is not None and self._process.stdin is not None and self._reader is not None
        self._process.stdin.close()
        await self._process.wait()
        await self._reader

    async def tell(self, do: str, **fields: Any) -> None:
        assert self._process is not None and self._process.stdin is not None
        count = len(self.all("done"))
        self._process.stdin.write(json.dumps({"do": do, **fields}).encode() + b"\n")
        if do != "deliver":
            await self.wait("done", count + 1)

    def all(self, event: str) -> list[dict[str, Any]]:
        return [one for one in self.events if one["event"] == event]

    async def wait(self, event: str, count: int = 1, seconds: float = 20.0) -> dict[str, Any]:
        """Wait until an event has come so many times; the last of them."""
        async with asyncio.timeout(seconds):
            while len(self.all(event)) < count:
                self._news.clear()
                await self._news.wait()
        return self.all(event)[count - 1]

    async def _read(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        while line := await self._process.stdout.readline():
            self.events.append(json.loads(line))
            self._news.set()


class PerlSmsc:
    """The example server of Net::SMPP, on a port of its own instead of 9900."""

    def __init__(self, port: int, folder: Path) -> None:
        self.port = port
        self._script = folder / "smsc.pl"
        self._log = folder / "smsc.log"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        if not PERL_EXAMPLE.is_file():
            lacking("example server of libnet-smpp-perl")
        source = PERL_EXAMPLE.read_text(encoding="latin-1")
        self._script.write_text(source.replace("$port = 9900", f"$port = {self.port}"), encoding="latin-1")
        with self._log.open("wb") as log:
            self._process = await asyncio.create_subprocess_exec(
                "perl", str(self._script), "3", stdout=log, stderr=log, start_new_session=True
            )

    async def stop(self) -> None:
        """Its children, one for each connection, end with their connections."""
        if self._process is not None:
            self._process.kill()
            await self._process.wait()

    def said(self) -> str:
        return self._log.read_text(encoding="latin-1")
