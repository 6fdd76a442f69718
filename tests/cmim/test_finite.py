"""NaN and Inf are found wherever a checkpoint holds them, and refused."""

import pytest
import torch

from cmim.checkpoint import CheckpointError, read_checkpoint
from cmim.engine.runner import last_whole_checkpoint
from cmim.finite import is_finite, what_is_not_finite

TYPES = (torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64)


@pytest.mark.parametrize("dtype", [*TYPES, torch.float8_e4m3fn])
def test_one_nan_is_found_in_every_type(dtype):
    values = torch.zeros(1000).to(dtype)
    assert is_finite(values)
    values[777] = torch.tensor(float("nan")).to(dtype)
    assert not is_finite(values)


@pytest.mark.parametrize("dtype", TYPES)
def test_infinities_are_found_also_where_they_cancel(dtype):
    values = torch.zeros(9, dtype=dtype)
    values[2], values[5] = float("inf"), float("-inf")
    assert not is_finite(values)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_large_values_are_finite_though_their_sum_is_not(dtype):
    assert is_finite(torch.full((4,), torch.finfo(dtype).max, dtype=dtype))


def test_whole_numbers_and_nothing_are_finite():
    assert is_finite(torch.tensor([2**62, 2**62]))
    assert is_finite(torch.zeros(0))


def test_it_is_said_which_and_how_many():
    state = {"a": torch.ones(2), "b": [{"c": torch.tensor([float("inf")])}], "d": 3}
    assert what_is_not_finite(state) == "NaN or Inf in 1 of 2 tensors (first 'b.0.c')"


def spoilt(part: str, value: float) -> dict:
    checkpoint = dict(
        state_dict={"w": torch.ones(3)},
        ema_state_dict={"module.w": torch.ones(3)},
        optimizer={"state": {0: {"exp_avg": torch.ones(3)}}, "param_groups": []},
    )
    tensor = {
        "state_dict": checkpoint["state_dict"]["w"],
        "ema_state_dict": checkpoint["ema_state_dict"]["module.w"],
        "optimizer": checkpoint["optimizer"]["state"][0]["exp_avg"],
    }[part]
    tensor[1] = value
    return checkpoint


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("part", ["state_dict", "ema_state_dict", "optimizer"])
def test_a_checkpoint_that_has_diverged_is_refused_and_not_resumed(
    tmp_path, part, value
):
    torch.save(spoilt(part, 1.0), tmp_path / "previous.pth")
    torch.save(spoilt(part, value), tmp_path / "last.pth")
    with pytest.raises(CheckpointError, match="NaN or Inf in 1 of 3 tensors") as error:
        read_checkpoint(tmp_path / "last.pth")
    assert part in str(error.value)
    assert last_whole_checkpoint(tmp_path).name == "previous.pth"


def test_a_bare_state_dict_with_nan_is_refused(tmp_path):
    torch.save({"w": torch.tensor([float("nan")])}, tmp_path / "teacher.pth")
    with pytest.raises(CheckpointError, match="its run has diverged"):
        read_checkpoint(tmp_path / "teacher.pth")
