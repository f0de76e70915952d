"""A message centre that others wrote: the server of ``smpp34`` takes every ``submit_sm`` at once.

``python -m bench.centre PORT``.
"""

from __future__ import annotations

import asyncio
import sys

import smpp34
import uvloop


async def serve(port: int) -> None:
    """Serve on 127.0.0.1 until killed."""
    centre = smpp34.Server("127.0.0.1", port, system_id="centre", inbound_capacity=1000)
    await centre.start()
    taken = 0
    while True:
        event = await centre.next()
        if isinstance(event, smpp34.SubmitSmEvent):
            taken += 1
            event.accept(f"{taken:08X}")


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1])))
