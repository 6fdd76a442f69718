"""What the server answers: the page, JSON of networks and answers, health, refusals."""

from __future__ import annotations

import base64
import re
import zlib

import cv2
import numpy as np
import pytest
from serve_cases import client, network, png, send, views

from cmim.serve.limits import Limits
from cmim.serve.network import Answer


def test_an_answer_has_the_values_of_every_place():
    found = send(client(), png(), params={"network": "1 bit"}).json()
    assert (found["network"], found["milliseconds"]) == ("1 bit", 12.35)
    classes, depth = found["views"]
    assert (classes["task"], depth["task"]) == ("seg", "depth")
    assert classes["names"] == ["wall", "floor"]
    assert classes["colours"] == [[10, 20, 30], [200, 100, 0]]
    kinds = {8: np.uint8, 16: np.dtype("<u2")}
    for name, given in zip(("seg", "depth"), (classes, depth), strict=True):
        numbers = zlib.decompress(base64.b64decode(given["values"]))
        values = np.frombuffer(numbers, kinds[given["bits"]]).reshape(given["size"])
        assert (values == views()[name].values).all()
        shown = np.frombuffer(base64.b64decode(given["picture"]), np.uint8)
        picture = cv2.imdecode(shown, cv2.IMREAD_COLOR)[..., ::-1]
        assert (picture == views()[name].picture).all()
    assert depth["readings"] == [
        dict(name="", unit="m", scale=0.001, offset=0.0, digits=2, unknown=0)
    ]


def test_the_first_network_answers_where_none_is_named():
    to = client(network("a"), network("b"))
    assert send(to, png()).json()["network"] == "a"
    assert send(to, png(), params={"network": "b"}).json()["network"] == "b"


def test_networks_and_limits_are_listed():
    found = client(network("a"), limits=Limits(most_bytes=77)).get("/api/networks")
    assert found.json()["most_bytes"] == 77
    assert found.json()["networks"] == [
        dict(name="a", file="last.pth", megabytes=1.25, tasks=["seg", "depth"])
    ]


def test_it_says_that_it_is_well():
    found = client().get("/health")
    assert found.status_code == 200
    assert found.json() == dict(status="ok", networks=1, pictures=0)


def test_the_page_loads_its_own_files_only():
    to = client()
    page = to.get("/")
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert set(loaded) == {"data:,", "page.css", "page.js"}
    for name in ("page.css", "page.js", "result.js"):
        found = to.get(f"/{name}")
        assert found.status_code == 200
        assert "//" not in re.sub(r"(?m)^\s*//.*$", "", found.text)
        assert "@import" not in found.text
    assert "style=" not in page.text, "the policy would not let it pass"


@pytest.mark.parametrize("address", ["/", "/health", "/api/networks", "/nothing"])
def test_every_answer_has_the_headers(address):
    headers = client().get(address).headers
    assert headers["content-security-policy"].startswith("default-src 'self'; ")
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert not [name for name in headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    "address", ["/docs", "/redoc", "/openapi.json", "/../setup.cfg"]
)
def test_there_is_nothing_else(address):
    found = client().get(address)
    assert found.status_code == 404
    assert found.json() == {
        "error": "there is nothing at this address; the page is at /"
    }


def test_another_method_is_said():
    found = client().get("/api/predict")
    assert found.status_code == 405
    assert "another method" in found.json()["error"]


def test_an_unknown_network_is_said():
    found = send(client(network("a"), network("b")), png(), params={"network": "c"})
    assert found.status_code == 404
    assert found.json()["error"] == "network 'c' is unknown; choose from 'a', 'b'"


@pytest.mark.parametrize("kind", ["text/plain", "image/svg+xml", ""])
def test_another_content_type_is_said(kind):
    found = send(client(), png(), kind)
    assert found.status_code == 415
    assert f"the content type is '{kind}'; send" in found.json()["error"]


def test_a_defect_is_no_sentence_of_a_library(caplog):
    def broken(data: bytes) -> Answer:
        a, b = []
        raise AssertionError(a, b)

    found = send(client(network(answer=broken)), png())
    assert found.status_code == 500
    assert "nobody foresaw" in found.json()["error"]
    assert "unpack" not in found.text
    assert "unpack" in caplog.text


def test_networks_need_names_of_their_own():
    with pytest.raises(ValueError, match="'a', 'a'; give at least one, each a name"):
        client(network("a"), network("a"))
