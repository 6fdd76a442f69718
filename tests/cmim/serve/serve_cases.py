"""A network that needs no torch, pictures to send, and a client of the server."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from cmim.serve.network import Answer, Network
from cmim.task_view import Reading, View


def png(rows: int = 4, columns: int = 6) -> bytes:
    """A small picture."""
    return cv2.imencode(".png", np.full((rows, columns, 3), 90, np.uint8))[1].tobytes()


def views() -> dict[str, View]:
    """Two classes, and metres, at two times two places."""
    classes = np.array([[0, 1], [1, 1]], np.uint8)[..., None]
    metres = np.array([[0, 1250], [2500, 65535]], np.uint16)[..., None]
    colours = [(10, 20, 30), (200, 100, 0)]
    return dict(
        seg=View(
            title="Classes",
            picture=np.array(colours, np.uint8)[classes[..., 0]],
            values=classes,
            names=["wall", "floor"],
            colours=colours,
        ),
        depth=View(
            title="Depth",
            picture=np.zeros((2, 2, 3), np.uint8),
            values=metres,
            readings=(Reading("", unit="m", scale=1e-3, unknown=0),),
        ),
    )


def network(
    name: str = "1 bit", answer: Callable[[bytes], Answer] | None = None
) -> Network:
    """A network that says the same of every picture."""
    found = answer or (lambda data: Answer(views(), milliseconds=12.345))
    return Network(name, "last.pth", 1.25, ("seg", "depth"), found)


def client(*networks: Network, limits=None, names=()):
    """A client of a server in this process; skips where the extra is missing."""
    pytest.importorskip("fastapi", reason="pip install 'cmim[serve]'")
    testing = pytest.importorskip("starlette.testclient", reason="pip install httpx")
    from cmim.serve.app import make_app

    app = make_app(networks or [network()], limits, names)
    return testing.TestClient(app, base_url="http://127.0.0.1:8000")


def send(to, data: bytes, kind: str = "image/png", **more):
    """Send a picture."""
    headers = {"content-type": kind, **more.pop("headers", {})}
    return to.post("/api/predict", content=data, headers=headers, **more)


def pair() -> list[Network]:
    """Two networks that look at a picture: classes by brightness, metres by rows."""
    return [_looking("full precision", 40.0, 128), _looking("1 bit", 2.5, 64)]


def _looking(name: str, milliseconds: float, middle: int) -> Network:
    def answer(data: bytes) -> Answer:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError("the picture is damaged; get it again")
        grey = cv2.resize(image, (160, 120)).mean(axis=2)
        classes = (grey > middle).astype(np.uint8)
        metres = np.arange(120, dtype=np.uint16)[:, None].repeat(160, axis=1) * 10
        colours = [(200, 40, 40), (40, 120, 220)]
        dark = View(
            title="Classes",
            picture=np.array(colours, np.uint8)[classes],
            values=classes[..., None],
            names=["dark", "light"],
            colours=colours,
        )
        depth = View(
            title="Depth",
            note="bright is far",
            picture=(metres[..., None] // 5).astype(np.uint8).repeat(3, axis=2),
            values=metres[..., None],
            readings=(Reading("", unit="m", scale=1e-3, unknown=0),),
        )
        return Answer(dict(seg=dark, depth=depth), milliseconds)

    return Network(name, f"{name}.xml", 2.0, ("seg", "depth"), answer)
