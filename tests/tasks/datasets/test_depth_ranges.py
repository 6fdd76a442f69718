"""Depth that head or evaluator do not reach is said."""

import pytest

import tasks.depth  # noqa: F401 - registers the head
from tasks.datasets.depth_ranges import range_notes


def config(head=(0.1, 10.0), metric=None):
    own = {} if metric is None else dict(depth_range=metric)
    return dict(
        model=dict(decode_head=dict(type="DepthHead", depth_range=head)),
        test_evaluator=[dict(type="CMIMDepthMetric", **own)],
    )


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (config(), ["head", "evaluator"]),
        (config(head=(0.1, 80.0)), ["evaluator"]),
        (config(metric=(0.1, 80.0)), ["head"]),
        (config(head=(0.1, 80.0), metric=(0.1, 80.0)), []),
    ],
)
def test_each_range_that_is_too_short_is_named(given, said):
    notes = range_notes([10.5, 40.0], given, "test")
    assert [note.split()[1] for note in notes] == said
    assert all("10.5 to 40 m" in note for note in notes)


def test_no_known_depth_has_no_range():
    assert range_notes(None, config(), "test") == []


def test_training_has_no_evaluator():
    assert len(range_notes([1.0, 40.0], config(), "train")) == 1
