"""What a suite's runs do behind their test: planned, in no key, refused at once."""

from __future__ import annotations

import pytest
from suite_cases import ROOMS, write_suite

from cmim.engine.config import ConfigError
from cmim.suite.definition import read_suite
from cmim.suite.plan import plan_suite

AFTER = """
examples = 2
latency = True
corruptions = dict(kinds=["fog"], images=3)
"""


@pytest.fixture
def plan(tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "train.txt").write_text("1\n")

    def made(text: str = ROOMS):
        suite = read_suite(write_suite(tmp_path, text))
        return plan_suite(suite, {"data_root": str(tmp_path / "data")})

    return made


@pytest.fixture
def all_packages(monkeypatch):
    """As if the packages of all extras were installed."""
    for module in ("suite.definition", "engine.corruptions"):
        monkeypatch.setattr(f"cmim.{module}.require_packages", lambda *_: None)


def test_what_runs_do_behind_their_test_is_in_no_key(plan, all_packages):
    runs = plan(ROOMS + AFTER)
    assert [run.key for run in runs] == [run.key for run in plan()]
    asked = dict(examples=2, latency=True, corruptions=dict(kinds=["fog"], images=3))
    assert all(run.after == asked for run in runs)
    assert plan()[0].after == {}
    assert plan(f"{ROOMS}\ncorruptions = dict()\n")[0].after == {"corruptions": {}}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("examples = -1", "examples must be 0 or more, got -1"),
        ("corruptions = dict(kind='fog')", "images, not 'kind'"),
        ("corruptions = dict(kinds=['rain'])", "kinds of corruptions are .*'rain'"),
        ("corruptions = dict(severities=[9])", "severities of corruptions are .*9"),
    ],
)
def test_what_they_cannot_do_is_refused_before_the_first_run(
    plan, all_packages, text, said
):
    with pytest.raises(ConfigError, match=rf"suite '.*small.py': .*{said}"):
        plan(f"{ROOMS}\n{text}\n")
