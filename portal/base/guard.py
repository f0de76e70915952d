"""What every answer to a browser carries, and who called."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

#: what is asked for with a slash behind it is the same page
WITHOUT_SLASH = web.normalize_path_middleware(append_slash=False, remove_slash=True)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: nothing from elsewhere, no script or style within a page, forms only to ourselves (CSP level 3)
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=()",
}


async def protect(request: web.Request, response: web.StreamResponse) -> None:
    """Put the security headers on an answer before it leaves; pages hold personal data, so nobody may keep them."""
    response.headers.update(HEADERS)
    response.headers["Cache-Control"] = "no-cache" if "/static/" in request.path else "no-store"


def from_our_own_page(request: web.Request) -> bool:
    """Whether the browser says that our own page sent this (Fetch Metadata). Old ones say nothing: that is no proof."""
    return request.headers.get("Sec-Fetch-Site", "same-origin") in {"same-origin", "none"}
