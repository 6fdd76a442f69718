"""Eight clients at a time: every picture is answered, and memory does not grow."""

from __future__ import annotations

import sys

import pytest
from load_run import load, resident_megabytes
from running_server import running_server
from serve_cases import png

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="reads memory as Linux tells it"
)


@pytest.mark.parametrize(
    "seconds",
    [
        pytest.param(3, marks=pytest.mark.full),
        pytest.param(60, marks=pytest.mark.slow),
    ],
)
def test_eight_clients_are_answered_in_bounded_memory(seconds):
    pytest.importorskip("fastapi", reason="pip install 'cmim[serve]'")
    pytest.importorskip("uvicorn", reason="pip install 'cmim[serve]'")
    with running_server() as (address, process):
        # What is made once is made now.
        assert load(address, png(48, 64), 8, 2).refused == []
        before = resident_megabytes(process)
        found = load(address, png(48, 64), 8, seconds)
        grown = resident_megabytes(process) - before
    assert found.refused == []
    assert len(found.seconds) > 8 * seconds
    assert grown < 20, f"{grown:.1f} MB more after {len(found.seconds)} answers"


@pytest.mark.full
def test_more_clients_than_places_are_refused_in_sentences():
    pytest.importorskip("fastapi", reason="pip install 'cmim[serve]'")
    pytest.importorskip("uvicorn", reason="pip install 'cmim[serve]'")
    with running_server(waiting=1) as (address, _):
        found = load(address, png(48, 64), 8, 2)
    assert found.seconds
    assert found.refused
    said = {each.partition(" pictures ")[0] for each in found.refused}
    assert said == {"503 2"}
