"""Listening at an address, and serving until it is interrupted."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

# Connections at a time: each costs memory before it has sent anything.
MOST_CONNECTIONS = 64
LARGEST_PORT = 65535


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens; no name is looked up for it.

    Who connects before :func:`serve` is called waits until then.

    Args:
        host: An address, or ``localhost``.
        port: A number up to 65535; 0 for any that is free.

    Raises:
        ValueError: The host is no address, or the port is no port.
        OSError: The port is in use or not allowed, or the address is another machine's.

    Examples:
        >>> with listen("localhost", 0) as found:
        ...     found.getsockname()[0]
        '127.0.0.1'
    """
    try:
        address = ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        raise ValueError(
            f"host {host!r} is no address; give one such as 127.0.0.1, ::1 or 0.0.0.0"
        ) from None
    if port > LARGEST_PORT:
        raise ValueError(f"port {port} is no port; give one up to {LARGEST_PORT}")
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    found = socket.socket(family, socket.SOCK_STREAM)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind((str(address), port))
        found.listen(MOST_CONNECTIONS)
    except OSError as error:
        found.close()
        raise OSError(
            f"cannot listen at {address} port {port} ({error.strerror}); give another "
            "--host or --port"
        ) from error
    return found


def url_of(listening: socket.socket) -> str:
    """Where a browser on this machine finds it.

    Examples:
        >>> with listen("0.0.0.0", 0) as found:
        ...     url_of(found).startswith("http://127.0.0.1:")
        True
    """
    host, port = listening.getsockname()[:2]
    address = ipaddress.ip_address(host)
    if address.is_unspecified:
        address = ipaddress.ip_address("127.0.0.1" if address.version == 4 else "::1")
    shown = f"[{address}]" if address.version == 6 else str(address)
    return f"http://{shown}:{port}"


def serve(app: Any, listening: socket.socket) -> None:
    """Serve an application, after a line that says where, until Ctrl+C.

    Args:
        app: An ASGI application.
        listening: See :func:`listen`.
    """
    import uvicorn

    print(f"the page: {url_of(listening)} (Ctrl+C ends it)", flush=True)
    if not ipaddress.ip_address(listening.getsockname()[0]).is_loopback:
        print(
            "whoever reaches this machine can use it, without a password; cameras work "
            "on this machine only, or behind a proxy with https",
            flush=True,
        )
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=5,
    )
    uvicorn.Server(config).run(sockets=[listening])
