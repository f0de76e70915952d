"""``ussd_server.py`` under cProfile, from the first SIGUSR1 on: ``python -m bench.profiled_server STATS_FILE``."""

from __future__ import annotations

import cProfile
import signal
import sys

import ussd_server


def main() -> int:
    """Serve until stopped, then write the statistics. Returns the server's exit status."""
    path = sys.argv.pop(1)
    profiler = cProfile.Profile()
    # What starting costs is not what a turn costs: the one who measures says when.
    signal.signal(signal.SIGUSR1, lambda _number, _frame: profiler.enable())
    try:
        return ussd_server.main()
    finally:
        profiler.disable()
        profiler.dump_stats(path)


if __name__ == "__main__":
    sys.exit(main())
