"""Another system, as it calls ours."""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple, Self, get_args

import aiohttp

from settings import ApiKeySettings, Right

ALL_KEY, READ_KEY = "all-of-it", "reads-only"


def digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()


API_KEYS = {
    "crm": ApiKeySettings(digest=digest(ALL_KEY), rights=frozenset(get_args(Right))),
    "reader": ApiKeySettings(digest=digest(READ_KEY), rights=frozenset({"balances"})),
}


class Said(NamedTuple):
    """An answer."""

    status: int
    body: Any
    headers: Any
    raw: bytes


class Api:
    """Speaks JSON with one server."""

    def __init__(self, base: str, key: str | None = ALL_KEY) -> None:
        self.base = base.rstrip("/")
        self._headers = {} if key is None else {"Authorization": f"Bearer {key}"}

    async def __aenter__(self) -> Self:
        self._http = aiohttp.ClientSession(headers=self._headers, json_serialize=json.dumps)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.close()

    async def ask(self, method: str, path: str, body: Any = None, **more: Any) -> Said:
        url = path if path.startswith("http") else self.base + path
        given = {"data": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
        async with self._http.request(method, url, **given, **more) as response:
            raw = await response.read()
            is_json = "json" in response.headers.get("Content-Type", "")
            return Said(response.status, json.loads(raw) if is_json and raw else None, response.headers, raw)

    async def get(self, path: str, **more: Any) -> Said:
        return await self.ask("GET", path, **more)

    async def post(self, path: str, body: Any, **more: Any) -> Said:
        return await self.ask("POST", path, body, **more)
