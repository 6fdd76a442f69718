"""The projection queue against a deque."""

from __future__ import annotations

from collections import deque

import pytest
import torch
from torch import Tensor

from cmim.contrast.memory import ProjectionQueue
from cmim.contrast.pairs import IGNORED


def oldest_first(queue: ProjectionQueue) -> list[tuple[float, int]]:
    """Filled rows in the order in which they will be overwritten."""
    order = [(queue.cursor.item() + k) % queue.size for k in range(queue.size)]
    return [
        (queue.rows[k, 0].item(), queue.labels[k].item())
        for k in order
        if queue.filled[k]
    ]


def push_numbers(queue: ProjectionQueue, start: int, count: int) -> Tensor:
    numbers = torch.arange(start, start + count)
    queue.push(numbers[:, None].expand(-1, queue.rows.shape[1]).float(), numbers + 100)
    return numbers


@pytest.mark.parametrize("size", [1, 4, 7])
@pytest.mark.parametrize(
    "pushes", [[1] * 9, [3, 3, 3, 3], [2, 0, 5, 1, 9, 2], [20, 3], [7, 7], [4]], ids=str
)
def test_equals_a_deque_whatever_the_pushes(size, pushes):
    queue = ProjectionQueue(size, channels=2)
    naive: deque[tuple[float, int]] = deque(maxlen=size)
    start = 0
    for count in pushes:
        numbers = push_numbers(queue, start, count)
        naive.extend((float(n), n + 100) for n in numbers.tolist())
        start += count
        assert oldest_first(queue) == list(naive)
        assert queue.filled.sum() == len(naive)
        assert (queue.rows[:, 0] == queue.rows[:, 1]).all()


def test_starts_empty_with_unknown_labels():
    queue = ProjectionQueue(3, channels=2)
    assert not queue.filled.any()
    assert (queue.labels == IGNORED).all()
    assert (queue.rows == 0).all()


def test_wraps_around_in_place():
    queue = ProjectionQueue(4, channels=1)
    push_numbers(queue, 0, 3)
    push_numbers(queue, 3, 3)
    assert queue.rows.flatten().tolist() == [4.0, 5.0, 2.0, 3.0]
    assert queue.labels.tolist() == [104, 105, 102, 103]
    assert queue.cursor == 2


def test_state_dict_continues_where_it_stopped():
    queue, resumed = ProjectionQueue(5, channels=2), ProjectionQueue(5, channels=2)
    push_numbers(queue, 0, 7)
    state = {key: value.clone() for key, value in queue.state_dict().items()}
    assert set(state) == {"rows", "labels", "filled", "cursor"}
    resumed.load_state_dict(state)
    for part in (queue, resumed):
        push_numbers(part, 7, 3)
    for key, value in queue.state_dict().items():
        assert torch.equal(resumed.state_dict()[key], value), key
    assert [n for n, _ in oldest_first(resumed)] == [5, 6, 7, 8, 9]


def test_nothing_is_trained_and_no_graph_is_kept():
    queue = ProjectionQueue(4, channels=2)
    queue.push(torch.randn(3, 2, requires_grad=True) * 2, torch.zeros(3).long())
    assert not queue.rows.requires_grad
    assert list(queue.parameters()) == []


def test_later_changes_of_what_was_pushed_do_not_reach_the_queue():
    queue, rows = ProjectionQueue(4, channels=2), torch.ones(2, 2)
    queue.push(rows, torch.zeros(2).long())
    rows.fill_(9)
    assert queue.rows[:2].tolist() == [[1, 1], [1, 1]]


def test_rows_are_kept_in_the_dtype_of_the_queue():
    queue = ProjectionQueue(2, channels=1).double()
    queue.push(torch.ones(1, 1, dtype=torch.bfloat16), torch.zeros(1).long())
    assert queue.rows.dtype == torch.float64
    assert queue.labels.dtype == torch.int64
    assert queue.rows[0] == 1
