"""What a running demo says of itself: one line for programs, a panel for people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

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
    folder: Path,
    *,
    as_json: bool,
) -> None:
    """Tell that the demo is ready. ``api_key`` is this run's, None where the user set their own."""
    if as_json:
        print(json.dumps(_description(settings, operator, samples, api_key), ensure_ascii=False), flush=True)  # noqa: T201
        return
    Console().print(_panel(settings, operator, samples, api_key, folder))


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
    folder: Path,
) -> Panel:
    table = Table.grid(padding=(0, 2))
    table.add_row("[b]Phone[/b]", f"{base_url(settings)}/simulator")
    if settings.portal is not None:
        table.add_row("[b]Portal[/b]", f"{base_url(settings)}/portal")
    if settings.console is not None:
        table.add_row("[b]Console[/b]", f"{base_url(settings)}/console   (code now: manage.py staff code SECRET)")
        for one in samples.staff:
            table.add_row("[b]Staff[/b]", f"{one['name']}  {one['password']}  secret {one['totp_secret']}")
    table.add_row("[b]Dial[/b]", f"*{operator.service_code}#  or  *{operator.service_code}*<voucher number>#")
    for line in operator.demo.subscribers:
        table.add_row("[b]Line[/b]", f"{line.msisdn}  PIN {line.pin}  {line.language}")
    for voucher in samples.vouchers[::3]:
        money = major_units(voucher["face_value"], operator.currency)
        table.add_row("[b]Voucher[/b]", f"{voucher['pin']}  {money}")
    table.add_row("[b]Interfaces[/b]", f"{base_url(settings)}/api/docs")
    if api_key is not None:
        table.add_row("[b]API key[/b]", api_key)
    table.add_row("[b]Log[/b]", str(folder / "rasid.log"))
    table.add_row("[b]Stop[/b]", "Ctrl-C")
    return Panel(table, title=operator.name, expand=False)
