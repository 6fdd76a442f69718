"""What stands before every request: who is asked, from where, and what is told back."""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

Message = MutableMapping[str, Any]
App = Callable[..., Awaitable[None]]

# The page loads nothing from elsewhere, runs its own script only, and is in no frame.
HEADERS = {
    "content-security-policy": "default-src 'self'; img-src 'self' data: blob:; "
    "media-src 'self' blob:; object-src 'none'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
}


def host_of(text: str) -> str | None:
    """The name or address within a ``Host`` header, None where there is none.

    Examples:
        >>> host_of("LocalHost:8000"), host_of("[::1]:80"), host_of("a b")
        ('localhost', '::1', None)
    """
    try:
        found = urlsplit(f"//{text}")
        # Reading the port checks it.
        plain = found.port is None or found.port > 0
    except ValueError:
        return None
    odd = found.username is not None or found.path or found.query or found.fragment
    name = found.hostname
    return name if plain and name and not odd and " " not in text else None


def is_ours(host: str | None, names: Iterable[str]) -> bool:
    """Whether somebody who asks for this host means this server.

    A page of another site can get its own name resolved to this machine (DNS
    rebinding) and would then read answers. It cannot do so with an address.

    Args:
        host: See :func:`host_of`.
        names: By which the server is known, besides ``localhost`` and its addresses.

    Examples:
        >>> is_ours("127.0.0.1", []), is_ours("evil.example", []), is_ours(None, [])
        (True, False, False)
    """
    if host is None:
        return False
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host in {"localhost", *(name.lower() for name in names)}
    return True


class Guard:
    """An ASGI application behind checks of ``Host`` and ``Origin``, with headers.

    Args:
        app: The application.
        names: See :func:`is_ours`.
    """

    def __init__(self, app: App, names: Iterable[str] = ()) -> None:
        self.app, self.names = app, tuple(names)

    async def __call__(self, scope: Message, receive: App, send: App) -> None:
        """Answer one request."""

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                own = [(k.encode(), v.encode()) for k, v in HEADERS.items()]
                message["headers"] = [*message.get("headers", ()), *own]
            await send(message)

        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        refused = self._why_not(scope)
        if refused is None:
            return await self.app(scope, receive, answer)
        body = json.dumps({"error": refused[1]}).encode()
        kind = (b"content-type", b"application/json")
        size = (b"content-length", str(len(body)).encode())
        start = dict(
            type="http.response.start", status=refused[0], headers=[kind, size]
        )
        await answer(start)
        await answer(dict(type="http.response.body", body=body))

    def _why_not(self, scope: Message) -> tuple[int, str] | None:
        given = [(k, v.decode("latin-1")) for k, v in scope["headers"]]
        hosts = [value for name, value in given if name == b"host"]
        if len(hosts) != 1 or not is_ours(host_of(hosts[0]), self.names):
            said = repr(hosts[0][:100]) if len(hosts) == 1 else f"{len(hosts)} hosts"
            return 421, (
                f"the request is for {said}, which is no name of this server; use its "
                "address or localhost, or start it with --allow-name NAME"
            )
        for name, value in given:
            if name == b"origin" and urlsplit(value).netloc != hosts[0]:
                return 403, (
                    "the request comes from a page of another site, which may not use "
                    "this server; open the server's own page"
                )
        return None
