"""What a running demo says of itself: one line for programs, a panel for people."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from rich.console import Console, Group
from rich.table import Table
from rich.text import Text

from commands.installation import major_units
from settings import Operator, Settings


class Samples(NamedTuple):
    """What a demo was filled with: vouchers that can be recharged, and what its staff signs in with."""

    vouchers: list[dict[str, Any]]
    staff: list[dict[str, Any]]


def base_url(settings: Settings) -> str:
    """Where the server answers on this machine."""
    host = "127.0.0.1" if settings.host in {"0.0.0.0", "::"} else settings.host  # noqa: S104 - compared, not bound
    return f"http://{host}:{settings.port}"


def announce(
    settings: Settings,
    operator: Operator,
    samples: Samples,
    api_key: str | None,
    settings_file: Path,
    *,
    as_json: bool,
) -> None:
    """Tell that the demo is ready. ``api_key`` is this run's, None where the user set their own.

    ``settings_file``: what other commands find this demo by.
    """
    if as_json:
        described = {**_description(settings, operator, samples, api_key), "settings_file": str(settings_file)}
        print(json.dumps(described, ensure_ascii=False), flush=True)  # noqa: T201
        return
    Console().print(_panel(settings, operator, samples, api_key, settings_file))


def _description(
    settings: Settings,
    operator: Operator,
    samples: Samples,
    api_key: str | None,
) -> dict[str, Any]:
    """What programs need to use this demo: a fixed form that others rely on."""
    telegram = settings.telegram
    bot_api = telegram.base_url if telegram is not None and telegram.sandbox else None
    return {
        "base_url": base_url(settings),
        "service_code": operator.service_code,
        "subscribers": [
            {"msisdn": line.msisdn, "imsi": line.imsi, "language": line.language, "pin": line.pin}
            for line in operator.demo.subscribers
        ],
        "vouchers": samples.vouchers,
        "staff": samples.staff,
        "api_key": api_key,
        "webhook_secrets": _webhook_secrets(settings),
        "ports": _ports(settings, bot_api),
        "radius_secret": _radius_secret(settings),
        "bot_api_url": bot_api,
        "payment_sandbox_url": settings.payment_sandbox or None,
        "packet_core_url": settings.simulator_core or None,
    }


def _ports(settings: Settings, bot_api: str | None) -> dict[str, int | None]:
    ports: dict[str, int | None] = {"http": settings.port}
    if bot_api:
        ports["bot_api"] = urlsplit(bot_api).port
    if settings.radius is not None:
        ports["radius"] = settings.radius.port
    if settings.diameter is not None:
        ports["diameter"] = settings.diameter.port
    return ports


def _radius_secret(settings: Settings) -> str | None:
    """What an access server on this machine proves itself with."""
    clients = settings.radius.clients.values() if settings.radius is not None else ()
    return next((client.secret for client in clients), None)


def _webhook_secrets(settings: Settings) -> dict[str, Any]:
    """Who calls us → what they prove themselves with."""
    signed = {
        name: carrier.options["auth_token"]
        for name, carrier in settings.carriers.items()
        if "auth_token" in carrier.options
    }
    for name, gateway in settings.payment_gateways.items():
        proof = gateway.options.get("webhook_secrets") or gateway.options.get("path_secret")
        if proof:
            signed[name] = proof[0] if isinstance(proof, tuple) else proof
    if settings.telegram is not None and settings.telegram.secret_token:
        signed["telegram"] = settings.telegram.secret_token
    return signed


def _panel(
    settings: Settings,
    operator: Operator,
    samples: Samples,
    api_key: str | None,
    settings_file: Path,
) -> Group:
    """Without a frame, and 80 columns at most: what stands here is there to be copied, so nothing is cut."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for what, row in (
        ("Open", _pages(settings)),
        ("Dial", f"*{operator.service_code}#   or   *{operator.service_code}*<voucher number>#"),
        ("Lines", _lines(operator)),
        ("Vouchers", _vouchers(samples.vouchers, operator.currency)),
        ("Staff", _staff(samples.staff) if settings.console is not None else None),
        ("API key", api_key),
        ("Commands", f"export RASID_CONFIG={settings_file}\n.venv/bin/python manage.py --help"),
        ("Data", f"{settings_file.parent}  (log: rasid.log)"),
        ("Stop", "Ctrl-C"),
    ):
        if row is not None:
            table.add_row(what, row)
    return Group(Text(f"\n{operator.name} is running\n", style="bold green"), table, "")


def _rows(*rows: Sequence[str]) -> Table:
    table = Table.grid(padding=(0, 2))
    for _ in rows[0]:
        table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def _pages(settings: Settings) -> Table:
    """Every page that people may open, and what it is for."""
    base = base_url(settings)
    pages = [(f"{base}/simulator", "phones and network: start here")] if settings.simulator else []
    if settings.portal is not None:
        pages.append((f"{base}/portal", "a line signs in: code by text"))
    if settings.console is not None:
        pages.append((f"{base}/console", "staff signs in"))
    return _rows(*pages, (f"{base}/api/docs", "for other systems"))


def _lines(operator: Operator) -> Table:
    return _rows(*((line.msisdn, f"PIN {line.pin}", line.language) for line in operator.demo.subscribers))


def _vouchers(vouchers: Sequence[Mapping[str, Any]], currency: str) -> Table:
    """Two of each value: the simulator shows the others."""
    values = sorted({voucher["face_value"] for voucher in vouchers})
    return _rows(
        *(
            [major_units(value, currency), *[one["pin"] for one in vouchers if one["face_value"] == value][:2]]
            for value in values
        )
    )


def _staff(staff: Sequence[Mapping[str, Any]]) -> Group:
    """Names and passwords, and from what the one-time codes are made."""
    known = [(str(one["name"]), str(one["password"]), str(one["totp_secret"])) for one in staff]
    table = _rows(("[dim]name[/dim]", "[dim]password[/dim]", "[dim]secret of the one-time codes[/dim]"), *known)
    return Group(table, "[dim]a code: .venv/bin/python manage.py staff code <secret>[/dim]")
