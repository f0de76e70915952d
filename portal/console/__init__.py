"""The operator's console: what staff does on pages. ``mount`` adds it to the server."""

from portal.console.serving import ConsoleServices, mount

__all__ = ["ConsoleServices", "mount"]
