"""The server: one page, the networks, a picture to an answer, a health check.

Web packages are imported within functions, so that this can be read without them.
"""

import logging
from collections.abc import Iterable, Sequence
from importlib.resources import files
from typing import TYPE_CHECKING, Any

import cmim
from cmim.engine.sentences import is_meant, sentence_of
from cmim.serve.gate import Gate
from cmim.serve.guard import Guard
from cmim.serve.limits import Limits, Refusal
from cmim.serve.network import Network, answer_json
from cmim.serve.picture_body import KINDS, check_kind, read_body

if TYPE_CHECKING:
    from fastapi import FastAPI

PAGES = {
    "/": ("index.html", "text/html"),
    "/page.css": ("page.css", "text/css"),
    "/page.js": ("page.js", "text/javascript"),
    "/result.js": ("result.js", "text/javascript"),
}
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
        ImportError: The extra ``serve`` is not installed.
    """
    from fastapi import FastAPI

    by_name = {network.name: network for network in networks}
    if not networks or len(by_name) < len(networks):
        given = ", ".join(repr(network.name) for network in networks) or "none"
        raise ValueError(
            f"the networks to serve are {given}; give at least one, each a name of its "
            "own"
        )
    # FastAPI's own pages of documentation load scripts from elsewhere.
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    _add_pages(app)
    _add_refusals(app)
    _add_networks(app, by_name, limits or Limits())
    return Guard(app, names)


def _add_pages(app: "FastAPI") -> None:
    from fastapi.responses import Response

    folder = files("cmim.serve") / "page"

    def add(address: str, content: bytes, kind: str) -> None:
        async def page() -> Response:
            return Response(content, media_type=f"{kind}; charset=utf-8")

        app.get(address, response_model=None)(page)

    for address, (name, kind) in PAGES.items():
        add(address, (folder / name).read_bytes(), kind)


def _add_refusals(app: "FastAPI") -> None:
    from fastapi.responses import JSONResponse
    from starlette.exceptions import HTTPException

    async def refused(_: Any, error: Any) -> JSONResponse:
        again = {"retry-after": "1"} if error.status == 503 else {}
        return JSONResponse({"error": str(error)}, error.status, again)

    async def unknown(_: Any, error: Any) -> JSONResponse:
        said = _ADVICE.get(error.status_code, str(error.detail))
        return JSONResponse({"error": said}, error.status_code, error.headers)

    async def failed(_: Any, error: Exception) -> JSONResponse:
        return JSONResponse({"error": _UNFORESEEN}, 500)

    app.exception_handler(Refusal)(refused)
    app.exception_handler(HTTPException)(unknown)
    app.exception_handler(Exception)(failed)


def _add_networks(app: "FastAPI", networks: dict[str, Network], limits: Limits) -> None:
    from fastapi import Request
    from fastapi.responses import JSONResponse

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
    async def predict(request: Request) -> JSONResponse:
        network = _chosen(request.query_params.get("network"), networks)
        check_kind(request.headers.get("content-type", ""))
        async with gate.place():
            data = await read_body(request, limits)
            # JSON is written in the thread, too: a picture's is megabytes.
            return await gate.run(lambda: JSONResponse(_answer(network, data)))


def _chosen(name: str | None, networks: dict[str, Network]) -> Network:
    """The network of a name; the first one where none is given."""
    if name is None:
        return next(iter(networks.values()))
    if name not in networks:
        known = ", ".join(map(repr, networks))
        raise Refusal(404, f"network {name[:100]!r} is unknown; choose from {known}")
    return networks[name]


def _answer(network: Network, data: bytes) -> dict[str, Any]:
    try:
        return answer_json(network.name, network.answer(data))
    except Exception as error:
        if is_meant(error):
            raise Refusal(422, sentence_of(error)) from error
        _log.exception("network %r failed", network.name)
        raise Refusal(500, _UNFORESEEN) from error
