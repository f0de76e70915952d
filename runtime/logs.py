"""Logs as one JSON object a line on stderr; numbers, PINs and voucher numbers are masked by a processor."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping
from typing import Any

import structlog
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from structlog.typing import EventDict, Processor, WrappedLogger

#: a word of a key that names a secret or a person: every run of four digits or more is hidden below it
TELLING = frozenset(["imsi", "phone", "number", "pin", "voucher", "code", "text", "input", "body", "to"])
#: a word of a key whose digits are ours and mean nobody
HARMLESS = frozenset(["timestamp", "pid", "port", "milliseconds", "amount", "price", "size", "count", "shard", "value"])
LONG_RUN = re.compile(r"(\+?)(\d(?:[ -]?\d){6,})")
SHORT_RUN = re.compile(r"\d{4,}")
#: what follows "?" or sits before "@" in a URL
QUERY = re.compile(r"(?<=\?)[\w%.~+-]+=[^\s\"']*")
USERINFO = re.compile(r"(?<=://)[^/@\s]*:[^/@\s]+(?=@)")
#: UUIDs, with hyphens or as hexadecimal digits that are not all decimal, and the date of an ISO 8601 time
IDENTIFIER = re.compile(
    r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b"
    r"|\b(?=[0-9]*[a-f])[0-9a-f]{32}\b"
    r"|\b[0-9]{4}-[0-9]{2}-[0-9]{2}(?=[T ])"
)


def mask(text: str, key: str = "") -> str:
    """``text`` with whatever may be a number or a secret hidden, as the value of ``key``.

    Runs of seven digits and more go everywhere, runs of four and more below a telling key. A telephone number (with
    ``+``, or below a key that says msisdn) keeps its ends, so that support can tell two lines apart: ``+2547•••••001``.
    UUIDs and dates are left alone. Query strings and the passwords of URLs are dropped.
    """
    text = USERINFO.sub("•", QUERY.sub("•", text))
    words = _words(key)
    parts: list[str] = []
    end = 0
    for found in IDENTIFIER.finditer(text):
        parts += [_hide(text[end : found.start()], words), found.group()]
        end = found.end()
    return "".join([*parts, _hide(text[end:], words)])


def _words(key: str) -> set[str]:
    return set(key.lower().replace("-", "_").split("_"))


def _hide(text: str, words: set[str]) -> str:
    def hide_long(found: re.Match[str]) -> str:
        """All digits but the first four and the last three of a number; all of anything else."""
        plus, run = found.groups()
        digits = re.sub(r"\D", "", run)
        if (plus or "msisdn" in words) and len(digits) >= 10:
            return f"{plus}{digits[:4]}{'•' * (len(digits) - 7)}{digits[-3:]}"
        return plus + "•" * len(digits)

    text = LONG_RUN.sub(hide_long, text)
    return SHORT_RUN.sub(lambda found: "•" * len(found.group()), text) if words & TELLING else text


def mask_event(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    """Structlog processor: mask every value of a log line, however deep."""
    return {key: _masked(key, value) for key, value in event.items()}


def _masked(key: str, value: Any) -> Any:
    if value is None or isinstance(value, (bool, float)):
        return value
    if isinstance(value, Mapping):
        return {str(name): _masked(f"{key}_{name}", inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_masked(key, inner) for inner in value]
    if isinstance(value, int):
        text = str(value) if _words(key) & HARMLESS else mask(str(value), key)
        return value if text == str(value) else text
    return mask(str(value), key)


def strangers(record: logging.LogRecord) -> bool:
    """Filter of aiohttp's own log: bytes that are no HTTP are the sender's fault, and need no traceback of ours.

    So is a body that is broken off, or not compressed as its header says: behind the answer the server reads on to it.
    """
    error = record.exc_info[1] if record.exc_info else None
    if isinstance(error, HttpProcessingError | web.RequestPayloadError | ConnectionError):
        record.levelno, record.levelname = logging.INFO, "INFO"
        record.msg, record.args, record.exc_info = "not_http", (), None
    return True


def configure_logs(process: str, level: int = logging.INFO) -> None:
    """Send structlog's and the standard library's records to stderr as JSON, each with ``process`` (``ussd``, ``bot``).

    Called once by a root script. aiohttp's access log is off: it writes paths with query strings.
    """

    def name_process(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        """A record of which process it is."""
        event["process"] = process
        return event

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        name_process,
    ]
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            mask_event,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for quiet in ("aiohttp.access", "httpx", "httpcore"):
        logging.getLogger(quiet).setLevel(logging.WARNING)
    logging.getLogger("aiohttp.server").addFilter(strangers)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
