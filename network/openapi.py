"""The interfaces' description: OpenAPI 3.1 made from the models that read and write them, and a page that shows it.

The page asks nobody but this server.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import Any

import msgspec
from aiohttp import web

from network.endpoints import Endpoint, Interface

_IN_PATH = re.compile(r"{(\w+)}")
_REF = "#/components/schemas/{name}"


def document(interfaces: Sequence[Interface], public_url: str = "") -> dict[str, Any]:
    """The OpenAPI document (version 3.1.0) of what is offered."""
    models = _models(interfaces)
    schemas, components = _exact(msgspec.json.schema_components(models, ref_template=_REF))
    by_model = {_name(model): schema for model, schema in zip(models, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for interface in interfaces:
        for one in interface.endpoints:
            paths.setdefault(one.path, {})[one.method.lower()] = _operation(interface, one, by_model)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Rasid: interfaces for other systems", "version": "1"},
        "servers": [{"url": public_url or "/"}],
        "security": [{"key": []}],
        "tags": [{"name": interface.name} for interface in interfaces],
        "paths": paths,
        "components": {"schemas": components, "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}}},
    }


def _exact(schema: Any) -> Any:
    """``schema`` with decimals as the numbers that they are on the wire; msgspec takes them for text."""
    if isinstance(schema, Mapping):
        if schema.get("format") == "decimal":
            return {**schema, "type": "number"}
        return {name: _exact(value) for name, value in schema.items()}
    if isinstance(schema, list | tuple):
        return [_exact(one) for one in schema]
    return schema


def _models(interfaces: Iterable[Interface]) -> list[Any]:
    found: dict[str, Any] = {}
    for interface in interfaces:
        found[_name(interface.refusal)] = interface.refusal
        for one in interface.endpoints:
            found |= {_name(model): model for model in (one.body, one.answer) if model is not None}
    return list(found.values())


def _name(model: Any) -> str:
    return repr(model)


def _operation(interface: Interface, one: Endpoint, schemas: dict[str, Any]) -> dict[str, Any]:
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
        for name in _IN_PATH.findall(one.path)
    ]
    given = [
        {
            "name": parameter.name,
            "in": parameter.place,
            "required": parameter.required,
            "description": parameter.description,
            "schema": dict(parameter.schema),
        }
        for parameter in one.parameters
    ]
    answer: dict[str, Any] = {"description": "Done"}
    if one.answer is not None:
        answer["content"] = {"application/json": {"schema": schemas[_name(one.answer)]}}
    refusal = {
        "description": "Refused",
        "content": {interface.refusal_type: {"schema": schemas[_name(interface.refusal)]}},
    }
    refusals = sorted({*one.refusals, 401, 403, 500, 503, *((413, 415) if one.body is not None else ())})
    operation: dict[str, Any] = {
        "tags": [interface.name],
        "summary": one.summary,
        "description": f"Needs the right {one.right}.",
        "parameters": in_path + given,
        "responses": {str(one.status): answer} | {str(status): refusal for status in refusals},
    }
    if one.body is not None:
        content = {"application/json": {"schema": schemas[_name(one.body)]}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def routes(interfaces: Sequence[Interface], public_url: str = "") -> list[web.RouteDef]:
    """``GET /api/openapi.json`` and ``GET /api/docs``: for everybody, they tell nothing of anybody."""
    described = document(interfaces, public_url)
    raw, page = msgspec.json.encode(described), _page(interfaces, described)

    async def as_json(_request: web.Request) -> web.Response:
        """For programs."""
        return web.Response(body=raw, content_type="application/json")

    async def as_page(_request: web.Request) -> web.Response:
        """For people; the page asks nobody else for anything."""
        headers = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'"}
        return web.Response(text=page, content_type="text/html", headers=headers)

    return [web.get("/api/openapi.json", as_json), web.get("/api/docs", as_page)]


_STYLE = """
:root{color-scheme:light dark}body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:0 auto;padding:1rem}
summary{cursor:pointer;padding:.4rem 0}code{font:14px ui-monospace,monospace;overflow-wrap:anywhere}
.m{display:inline-block;min-width:4rem;font-weight:700}table{border-collapse:collapse;width:100%}
td,th{text-align:start;vertical-align:top;border-bottom:1px solid #8884;padding:.25rem .5rem .25rem 0}
pre{overflow:auto;background:#8882;padding:.5rem}
"""


def _page(interfaces: Sequence[Interface], described: dict[str, Any]) -> str:
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>{escape(described['info']['title'])}</title><style>{_STYLE}</style>",
        f"<h1>{escape(described['info']['title'])}</h1>",
        "<p>Every request carries <code>Authorization: Bearer</code> and a key. ",
        "As a file for tools: <a href='/api/openapi.json'>openapi.json</a> (OpenAPI 3.1).</p>",
    ]
    for interface in interfaces:
        parts.append(f"<h2>{escape(interface.name)}</h2>")
        parts += [_endpoint(one, described["paths"][one.path][one.method.lower()]) for one in interface.endpoints]
    parts.append("<h2>Schemas</h2>")
    for name, schema in sorted(described["components"]["schemas"].items()):
        text = msgspec.json.format(msgspec.json.encode(schema), indent=2).decode()
        parts.append(
            f"<details id='{escape(name)}'><summary>{escape(name)}</summary><pre>{escape(text)}</pre></details>"
        )
    return "\n".join(parts)


def _endpoint(one: Endpoint, operation: dict[str, Any]) -> str:
    rows = [
        f"<tr><td><code>{escape(one['name'])}</code><td>{escape(one['in'])}<td>{escape(one.get('description', ''))}"
        for one in operation["parameters"]
    ]
    if one.body is not None:
        rows.append(f"<tr><td>body<td>JSON<td>{_linked(one.body)}")
    for status, answer in operation["responses"].items():
        model = _linked(one.answer) if int(status) == one.status and one.answer is not None else ""
        rows.append(f"<tr><td>{status}<td>{escape(answer['description'])}<td>{model}")
    head = f"<span class=m>{one.method}</span> <code>{escape(one.path)}</code> {escape(one.summary)}"
    right = f"<p>{escape(operation['description'])}</p>"
    return f"<details><summary>{head}</summary>{right}<table>{''.join(rows)}</table></details>"


def _linked(model: Any) -> str:
    several = getattr(model, "__args__", None)
    name = (several[0] if several else model).__name__
    return f"{'list of ' if several else ''}<a href='#{escape(name)}'>{escape(name)}</a>"
