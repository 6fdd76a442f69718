"""The server: one page, the networks, a picture to an answer, a health check."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

import cmim
from cmim.engine.sentences import is_meant, sentence_of
from cmim.serve.gate import Gate
from cmim.serve.guard import Guard
from cmim.serve.limits import Limits, Refusal
from cmim.serve.network import Network, answer_json

PAGES = {
    "/": ("index.html", "text/html; charset=utf-8"),
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/result.js": ("result.js", "text/javascript; charset=utf-8"),
}
KINDS = ("image/jpeg", "image/png", "image/webp")
_ADVICE = {
    404: "there is nothing at this address; the page is at /",
    405: "this address takes another method; see /api/networks and /api/predict",
}
_UNFORESEEN = (
    "the server failed on this request for a reason that nobody foresaw; its log has it"
)
_log = logging.getLogger("cmim.serve")


def make_app(
    networks: Sequence[Network], limits: Limits | None = None, names: Iterable[str] = ()
) -> Guard:
    """An ASGI application that serves networks.

    Args:
        networks: At least one, each of a name of its own.
        limits: What visitors may use; the defaults of :class:`Limits` when None.
        names: Of the server, see :func:`cmim.serve.guard.is_ours`.

    Raises:
        ValueError: No network, or two of one name.
    """
    by_name = {network.name: network for network in networks}
    if not networks or len(by_name) < len(networks):
        given = ", ".join(repr(network.name) for network in networks) or "none"
        raise ValueError(
            f"the networks to serve are {given}; give at least one, each a name of its "
            "own"
        )
    bounds = limits or Limits()
    # FastAPI's own pages of documentation load scripts from elsewhere.
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    _add_pages(app)
    _add_refusals(app)
    _add_networks(app, by_name, bounds)
    return Guard(app, names)


def _add_pages(app: FastAPI) -> None:
    folder = files("cmim.serve") / "page"
    for address, (name, kind) in PAGES.items():
        response = Response((folder / name).read_bytes(), media_type=kind)

        async def page(response: Response = response) -> Response:
            return response

        app.get(address, response_model=None)(page)


def _add_refusals(app: FastAPI) -> None:
    async def refused(_: Request, error: Any) -> JSONResponse:
        again = {"retry-after": "1"} if error.status == 503 else {}
        return JSONResponse({"error": str(error)}, error.status, again)

    async def unknown(_: Request, error: Any) -> JSONResponse:
        said = _ADVICE.get(error.status_code, str(error.detail))
        return JSONResponse({"error": said}, error.status_code, error.headers)

    async def failed(_: Request, error: Exception) -> JSONResponse:
        return JSONResponse({"error": _UNFORESEEN}, 500)

    app.exception_handler(Refusal)(refused)
    app.exception_handler(Exception)(failed)
    app.exception_handler(HTTPException)(unknown)


def _add_networks(app: FastAPI, networks: dict[str, Network], limits: Limits) -> None:
    gate = Gate(limits)

    @app.get("/health")
    async def health() -> dict[str, Any]:
        return dict(status="ok", networks=len(networks), pictures=gate.inside)

    @app.get("/api/networks")
    async def listed() -> dict[str, Any]:
        return dict(
            version=cmim.__version__,
            networks=[network.described() for network in networks.values()],
            kinds=KINDS,
            most_bytes=limits.most_bytes,
            most_pixels=limits.most_pixels,
        )

    @app.post("/api/predict", response_model=None)
    async def predict(request: Request) -> Response:
        network = _chosen(request, networks)
        _check_kind(request)
        async with gate.place():
            data = await _read_body(request, limits)
            return await gate.run(lambda: _answer(network, data))


def _chosen(request: Request, networks: dict[str, Network]) -> Network:
    name = request.query_params.get("network", next(iter(networks)))
    if name not in networks:
        known = ", ".join(map(repr, networks))
        raise Refusal(404, f"network {name[:100]!r} is unknown; choose from {known}")
    return networks[name]


def _check_kind(request: Request) -> None:
    """Pages of other sites cannot send these kinds without asking first."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in KINDS:
        raise Refusal(
            415,
            f"the content type is {kind[:100]!r}; send the picture's file as the body, "
            f"with the content type {' or '.join(KINDS)}",
        )


async def _read_body(request: Request, limits: Limits) -> bytes:
    """The whole body, no larger and no slower than the limits say."""
    said = request.headers.get("content-length", "0")
    if said.isdigit() and int(said) > limits.most_bytes:
        raise _too_large(limits)
    try:
        return await asyncio.wait_for(_collect(request, limits), limits.seconds)
    except ClientDisconnect:
        raise Refusal(400, "the connection ended before the picture had come") from None
    except asyncio.TimeoutError:
        raise Refusal(
            408,
            f"the picture did not arrive within {limits.seconds:g} s; send a smaller "
            "one",
        ) from None


async def _collect(request: Request, limits: Limits) -> bytes:
    data = bytearray()
    async for part in request.stream():
        data += part
        if len(data) > limits.most_bytes:
            raise _too_large(limits)
    return bytes(data)


def _too_large(limits: Limits) -> Refusal:
    return Refusal(
        413,
        f"the picture has more than {limits.most_bytes / 1e6:g} MB, the limit; send a "
        "smaller one",
    )


def _answer(network: Network, data: bytes) -> Response:
    """In a thread: look at a picture, and write the answer."""
    try:
        return JSONResponse(answer_json(network.name, network.answer(data)))
    except Exception as error:
        if is_meant(error):
            raise Refusal(422, sentence_of(error)) from error
        _log.exception("network %r failed", network.name)
        raise Refusal(500, _UNFORESEEN) from error
