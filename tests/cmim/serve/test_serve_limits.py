"""Limits of the server: bytes, places, time; and who may ask."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from serve_cases import client, network, png, send, views

from cmim.serve.gate import Gate
from cmim.serve.guard import host_of, is_ours
from cmim.serve.limits import Limits, Refusal
from cmim.serve.network import Answer


def in_parts(data: bytes, size: int = 10):
    """A body of unknown length."""
    yield from (data[start : start + size] for start in range(0, len(data), size))


@pytest.mark.parametrize("said", [True, False])
def test_a_large_body_is_refused_whether_it_says_its_length_or_not(said):
    seen = []
    small = network(answer=lambda data: seen.append(data) or Answer(views(), 1.0))
    to = client(small, limits=Limits(most_bytes=50))
    fits, large = bytes(50), bytes(51)
    assert send(to, fits if said else in_parts(fits)).status_code == 200
    found = send(to, large if said else in_parts(large))
    assert found.status_code == 413
    assert "more than 5e-05 MB, the limit" in found.json()["error"]
    assert seen == [fits]


class Body:
    """A request, as far as its body goes: parts, each of which takes some seconds."""

    def __init__(self, part: bytes, parts: int, seconds: float = 0) -> None:
        self.headers: dict[str, str] = {}
        self.part, self.parts, self.seconds = part, parts, seconds
        self.read = 0

    async def stream(self):
        while self.read < self.parts:
            self.read += 1
            await asyncio.sleep(self.seconds)
            yield self.part


@pytest.mark.parametrize(
    ("body", "status"),
    [(Body(bytes(1000), 1000), 413), (Body(b"a", 1000, seconds=0.02), 408)],
    ids=["large", "slow"],
)
def test_a_body_is_not_read_to_its_end(body, status):
    pytest.importorskip("starlette", reason="pip install 'cmim[serve]'")
    from cmim.serve.picture_body import read_body

    with pytest.raises(Refusal) as refused:
        asyncio.run(read_body(body, Limits(most_bytes=5000, seconds=0.1)))
    assert refused.value.status == status
    assert body.read < 10


def test_an_empty_body_is_said():
    found = send(client(), b"")
    assert found.status_code == 400
    assert found.json()["error"].startswith("the body is empty")


def test_who_finds_no_place_is_told_so():
    here, go = threading.Event(), threading.Event()

    def slow(data: bytes) -> Answer:
        here.set()
        assert go.wait(10)
        return Answer(views(), 1.0)

    found: list[int] = []
    # Entered, it has one loop for all threads, as a server has.
    with client(network(answer=slow), limits=Limits(waiting=1)) as to:
        threads = [
            threading.Thread(target=lambda: found.append(send(to, png()).status_code))
            for _ in range(2)
        ]
        threads[0].start()
        assert here.wait(10)
        threads[1].start()
        until(lambda: to.get("/health").json()["pictures"] == 2)
        refused = send(to, png())
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"
        assert "2 pictures are being looked at or wait" in refused.json()["error"]
        go.set()
        for thread in threads:
            thread.join(10)
        assert found == [200, 200]
        assert to.get("/health").json()["pictures"] == 0
        assert send(to, png()).status_code == 200


def until(true) -> None:
    """Wait for something, ten seconds at most."""
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_server_answers_while_a_network_works():
    here, go = threading.Event(), threading.Event()

    def slow(data: bytes) -> Answer:
        here.set()
        assert go.wait(10)
        return Answer(views(), 1.0)

    with client(network(answer=slow)) as to:
        thread = threading.Thread(target=send, args=(to, png()))
        thread.start()
        assert here.wait(10)
        assert to.get("/health").json()["pictures"] == 1
        go.set()
        thread.join(10)


def test_who_takes_or_waits_too_long_is_told_so():
    go = threading.Event()

    async def visits() -> list[int]:
        gate = Gate(Limits(seconds=0.05))
        statuses = []
        for _ in range(2):
            try:
                await gate.run(lambda: go.wait(10))
            except Refusal as refusal:
                statuses.append(refusal.status)
        go.set()
        # The work that nobody waits for any more gives its turn back.
        await asyncio.sleep(0.05)
        assert await gate.run(lambda: 7) == 7
        return statuses

    assert asyncio.run(visits()) == [504, 503]


def test_work_runs_one_at_a_time_and_errors_pass():
    running: list[int] = []

    def work() -> int:
        running.append(1)
        time.sleep(0.005)
        count = len(running)
        running.pop()
        return count

    def broken() -> int:
        raise ValueError("no")

    async def visits() -> list[int]:
        gate = Gate(Limits())
        with pytest.raises(ValueError, match="no"):
            await gate.run(broken)
        return await asyncio.gather(*(gate.run(work) for _ in range(8)))

    assert asyncio.run(visits()) == [1] * 8


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost", 200),
        ("[::1]:8000", 200),
        ("192.168.0.7", 200),
        ("demo.example:80", 200),
        ("evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.", 421),
        ("127.0.0.1@evil.example", 421),
        ("", 421),
    ],
)
def test_other_names_are_not_answered(host, status):
    to = client(names=["Demo.example"])
    found = to.get("/health", headers={"host": host})
    assert found.status_code == status
    if status == 421:
        assert "which is no name of this server" in found.json()["error"]
        assert "content-security-policy" in found.headers


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://127.0.0.1:8000", 200),
        ("https://evil.example", 403),
        ("http://127.0.0.1:9000", 403),
        ("null", 403),
    ],
)
def test_pages_of_other_sites_may_not_send(origin, status):
    found = send(client(), png(), headers={"origin": origin})
    assert found.status_code == status
    if status == 403:
        assert "page of another site" in found.json()["error"]


def test_hosts_are_read_as_browsers_write_them():
    assert [host_of(text) for text in ("a:b", "a/b", "a:99999", "u@a")] == [None] * 4
    assert is_ours(host_of("[::1]"), [])
    assert not is_ours(host_of("999.0.0.1"), [])


@pytest.mark.parametrize(
    "wrong", [dict(most_bytes=0), dict(seconds=0), dict(waiting=-1)]
)
def test_limits_that_let_nothing_pass_are_refused(wrong):
    with pytest.raises(ValueError, match="give"):
        Limits(**wrong)
