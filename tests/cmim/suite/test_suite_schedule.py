"""Scheduling with an engine that computes nothing: order, failures, limits."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from suite_cases import FakeEngine, run_named

from cmim.json_file import read_json
from cmim.suite import schedule
from cmim.suite.schedule import Places, carry_out
from cmim.suite.work import NO_SPACE


@pytest.fixture(autouse=True)
def no_pause(monkeypatch):
    monkeypatch.setattr(schedule, "PAUSE", 0)


@pytest.fixture
def places(tmp_path) -> Places:
    return Places(tmp_path / "results", tmp_path / "work")


def reason(places: Places, key: str) -> str:
    return read_json(places.results / "none" / f"{key}.json")["reason"]


def test_what_is_needed_comes_first(places):
    runs = [run_named("b", needs="a"), run_named("c"), run_named("a")]
    engine = FakeEngine({}, slots=2)
    progress = carry_out(runs, engine, places)
    assert engine.order == ["c", "a", "b"]
    assert set(progress.states.values()) == {"done"}
    assert engine.stopped


@pytest.mark.parametrize(("slots", "most"), [(1, 1), (2, 2), (None, 5)])
def test_as_many_at_a_time_as_there_are_slots(places, slots, most):
    engine = FakeEngine({}, slots)
    carry_out([run_named(str(k)) for k in range(5)], engine, places)
    assert engine.most == most


def test_finished_runs_are_not_repeated(places):
    runs = [run_named("a"), run_named("b")]
    carry_out(runs[:1], FakeEngine({}), places)
    engine = FakeEngine({})
    carry_out(runs, engine, places)
    assert engine.order == ["b"]


def test_a_killed_run_starts_again_and_others_go_on(places):
    engine = FakeEngine({"a": [9, 9, "ok"]})
    progress = carry_out([run_named("a"), run_named("b")], engine, places)
    assert progress.states == {"a": "done", "b": "done"}
    assert engine.order.count("a") == 3


def test_one_that_is_killed_each_time_is_a_failure_with_its_signal(places):
    engine = FakeEngine({"a": [9, 9, 9, "ok"]})
    progress = carry_out([run_named("a")], engine, places)
    assert progress.states == {"a": "failed"}
    assert "ended by signal 9, 3 times" in reason(places, "a")


def test_a_failure_is_recorded_and_passed_on_to_what_needs_it(places):
    runs = [run_named("a"), run_named("b", needs="a"), run_named("c")]
    engine = FakeEngine({"a": ["failed"]})
    progress = carry_out(runs, engine, places)
    assert progress.states == {"a": "failed", "b": "failed", "c": "done"}
    assert reason(places, "a") == "no data"
    assert progress.reasons["b"] == "it needs run a, which failed"
    # That of b is no record: it may run once a does.
    assert not (places.results / "none" / "b.json").exists()


def test_failures_are_tried_again_where_that_is_asked_for(places):
    runs = [run_named("a"), run_named("b", needs="a")]
    carry_out(runs, FakeEngine({"a": ["failed"]}), places)
    engine = FakeEngine({})
    assert carry_out(runs, engine, places).states["a"] == "failed"
    assert engine.order == []
    assert set(carry_out(runs, engine, places, again=True).states.values()) == {"done"}


def test_a_limit_stops_cleanly_and_says_what_is_left(places, monkeypatch):
    clock = iter(range(0, 10_000, 20))
    monkeypatch.setattr(schedule.time, "monotonic", lambda: next(clock))
    runs = [run_named(str(k)) for k in range(9)]
    engine = FakeEngine({})
    progress = carry_out(runs, engine, places, max_minutes=2)
    assert engine.stopped
    assert 0 < progress.count("done") < 9
    assert progress.count("done") + progress.count("left") == 9


def test_a_run_that_another_process_holds_is_waited_for(places, monkeypatch):
    monkeypatch.setattr(schedule, "PATIENCE", 0)
    engine = FakeEngine({"a": [*[-75] * 5, "ok"]})
    progress = carry_out([run_named("a")], engine, places)
    assert progress.states == {"a": "done"}


@pytest.fixture
def student(places):
    """A finished teacher, and a student that waits for it."""
    runs = [run_named("a"), run_named("b", needs="a")]
    carry_out(runs[:1], FakeEngine({}), places)
    return runs


def checkpoint(places: Places) -> Path:
    return places.work / "a" / "last.pth"


def test_a_lost_checkpoint_is_made_again_for_what_needs_it(places, student):
    checkpoint(places).unlink()
    engine = FakeEngine({})
    carry_out(student, engine, places)
    assert engine.order == ["a", "b"]
    # Nobody waits for it any more.
    checkpoint(places).unlink()
    carry_out(student, engine, places)
    assert engine.order == ["a", "b"]


def test_a_checkpoint_of_other_weights_counts_as_lost(places, student):
    torch.save({"state_dict": {"weight": torch.tensor([2.0])}}, checkpoint(places))
    engine = FakeEngine({})
    carry_out(student, engine, places)
    assert engine.order == ["a", "b"]


@pytest.mark.parametrize("end", [9, "limit", "stuck"])
def test_a_killed_repetition_is_not_done_and_its_record_stays(places, student, end):
    checkpoint(places).unlink()
    record = places.results / "none" / "a.json"
    before = record.read_text()
    engine = FakeEngine({"a": [end, end, end, 9, 9, 9]})
    progress = carry_out(student, engine, places)
    assert progress.states == {"a": "failed", "b": "failed"}
    assert record.read_text() == before
    # What it has left is half a training: the next call goes on with it.
    engine = FakeEngine({})
    carry_out(student, engine, places)
    assert engine.order == ["a", "b"]


def test_a_full_disk_is_no_failure_and_ends_the_call(places):
    runs = [run_named(key) for key in "abc"]
    progress = carry_out(runs, FakeEngine({"b": [-NO_SPACE]}), places)
    assert progress.states == {"a": "done", "b": "left", "c": "left"}
    assert "a disk is full" in str(progress.stopped)
    engine = FakeEngine({})
    carry_out(runs, engine, places)
    assert engine.order == ["b", "c"]


def test_time_limits_are_no_attempts_where_the_run_got_further(places):
    engine = FakeEngine({"a": ["limit"] * 7 + ["ok"]})
    progress = carry_out([run_named("a")], engine, places)
    assert progress.states == {"a": "done"}
    assert engine.order == ["a"] * 8


def test_a_time_limit_without_a_checkpoint_is_said_and_not_recorded(places):
    engine = FakeEngine({"a": ["limit"] + ["stuck"] * 9})
    progress = carry_out([run_named("a")], engine, places)
    assert engine.order == ["a"] * 4
    assert "the cluster ended it 3 times before a new" in progress.reasons["a"]
    assert not (places.results / "none" / "a.json").exists()


class Broken(FakeEngine):
    def ended(self) -> dict[str, int]:
        raise KeyboardInterrupt


def test_an_interruption_ends_what_runs(places):
    engine = Broken({})
    with pytest.raises(KeyboardInterrupt):
        carry_out([run_named("a")], engine, places)
    assert engine.stopped


def test_jobs_lie_in_the_folders_of_their_runs(places):
    carry_out([run_named("a")], FakeEngine({}), places)
    job = read_json(places.work / "a" / "job.json")
    assert Path(job["results"]) == places.results
    assert job["run"]["key"] == "a"
