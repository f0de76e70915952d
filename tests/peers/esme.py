"""A process of ours on a message centre, for tests that kill it: writes each text to a file before acknowledging it.

``esme.py PORT REDIS_URL FILE hang|go``: with ``hang`` it commits and then never returns, so that no answer leaves.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from channels.sessions import connect
from channels.sms.contract import Incoming, Report, Tools
from channels.sms.smpp.carrier import Carrier
from runtime.keyring import Keyring


async def main(port: int, redis_url: str, file: Path, mode: str) -> None:
    async def commit(incoming: Incoming) -> None:
        with file.open("a") as books:
            books.write(f"{incoming.carrier_id} {incoming.text}\n")
            books.flush()
            os.fsync(books.fileno())
        if mode == "hang":
            await asyncio.Event().wait()

    async def report(_report: Report) -> None:
        return

    redis = connect(redis_url)
    tools = Tools(redis=redis, keyring=Keyring({1: bytes(range(32))}), on_incoming=commit, on_report=report)
    options = {"host": "127.0.0.1", "port": port, "system_id": "rasid", "password": "secret"}
    await Carrier("npm", options, tools).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], Path(sys.argv[3]), sys.argv[4]))
