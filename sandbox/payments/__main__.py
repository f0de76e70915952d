"""``python -m sandbox.payments``: serves until stopped, and prints one line of JSON when it is ready."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
from pathlib import Path

import msgspec

from sandbox.payments.desk import PACE, Accounts
from sandbox.payments.server import PaymentsSandbox


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(prog="python -m sandbox.payments", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8090, help="HTTP; 0: any that is free")
    parser.add_argument("--acquirer-port", type=int, default=0, help="ISO 8583; 0: any that is free")
    parser.add_argument("--state", type=Path, help="file that its memory is in; without one it forgets")
    parser.add_argument("--accounts", type=Path, help="JSON file: keys and secrets, see sandbox.payments.desk.Accounts")
    parser.add_argument("--pace", type=float, default=PACE, help="seconds that a payer's phone takes")
    asyncio.run(_serve(parser.parse_args()))


async def _serve(given: argparse.Namespace) -> None:
    accounts = Accounts()
    if given.accounts is not None:
        accounts = msgspec.json.decode(given.accounts.read_bytes(), type=Accounts)
    server = PaymentsSandbox(
        accounts=accounts,
        state=given.state,
        host=given.host,
        port=given.port,
        acquirer_port=given.acquirer_port,
        pace=given.pace,
    )
    stopped = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    await server.start()
    ready = {"base_url": server.base_url, "acquirer_port": server.acquirer_port}
    sys.stdout.write(msgspec.json.encode(ready).decode() + "\n")
    sys.stdout.flush()
    await stopped.wait()
    await server.stop()


if __name__ == "__main__":
    main()
