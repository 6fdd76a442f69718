"""RecordFlips on a stand-in for the runner: hand values, resuming."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace

import pytest
import torch
from mmengine.runner.priority import get_priority

from cmim.hooks import ClipLatentWeights, RecordFlips, SaveCheckpoint
from cmim.layers import BinaryConv2d
from cmim.methods import get_method


def make_runner(folder, step: int = 0, method: str = "bireal") -> SimpleNamespace:
    binarizer = get_method(method).weight((2, 5, 1, 1))
    model = torch.nn.Sequential(
        torch.nn.Conv2d(3, 5, 1), BinaryConv2d(5, 2, 1, binarizer)
    )
    torch.nn.init.constant_(model[1].weight, 1.0)
    return SimpleNamespace(model=model, iter=step, work_dir=str(folder), rank=0)


def train(runner, hook: RecordFlips, steps: int) -> None:
    """Each step turns one further weight to the other sign."""
    hook.before_train(runner)
    for _ in range(steps):
        with torch.no_grad():
            runner.model[1].weight.view(-1)[runner.iter % 10] *= -1
        hook.after_train_iter(runner, 0)
        runner.iter += 1


def read(folder) -> dict:
    return json.loads((folder / "flips.json").read_text())


def test_shares_since_the_last_record(tmp_path):
    train(make_runner(tmp_path), RecordFlips(interval=3), 8)
    assert read(tmp_path) == {
        "layers": ["1"],
        "records": [
            {"step": 3, "since": 0, "flips": [0.3]},
            {"step": 6, "since": 3, "flips": [0.3]},
        ],
    }


def test_zero_is_positive_and_size_does_not_matter(tmp_path):
    runner, hook = make_runner(tmp_path), RecordFlips(interval=1)
    weight = runner.model[1].weight
    found = []
    hook.before_train(runner)
    for value in (0.0, -0.0, 7.0, -1e-9, -5.0):
        weight.data.view(-1)[0] = value
        hook.after_train_iter(runner, 0)
        runner.iter += 1
        found.append(read(tmp_path)["records"][-1]["flips"][0])
    assert found == [0, 0, 0, 0.1, 0]


def test_a_resumed_run_ends_with_the_same_file(tmp_path):
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    whole.mkdir()
    parts.mkdir()
    train(make_runner(whole), RecordFlips(interval=3), 11)

    stopped, hook = make_runner(parts), RecordFlips(interval=3)
    train(stopped, hook, 5)
    saved: dict = {}
    hook.before_save_checkpoint(stopped, saved)
    saved["state_dict"] = stopped.model.state_dict()
    # Killed three steps after the checkpoint: what they wrote is not in it.
    file = io.BytesIO()
    torch.save(saved, file)
    train(stopped, hook, 3)

    file.seek(0)
    loaded = torch.load(file, weights_only=True)
    resumed, again = make_runner(parts, step=5), RecordFlips(interval=3)
    resumed.model.load_state_dict(loaded["state_dict"])
    again.after_load_checkpoint(resumed, loaded)
    train(resumed, again, 6)
    assert (parts / "flips.json").read_text() == (whole / "flips.json").read_text()


def test_a_run_from_other_weights_begins_afresh(tmp_path):
    old, hook = make_runner(tmp_path), RecordFlips(interval=2)
    train(old, hook, 4)
    checkpoint: dict = {}
    hook.before_save_checkpoint(old, checkpoint)
    new, fresh = make_runner(tmp_path), RecordFlips(interval=2)
    fresh.after_load_checkpoint(new, checkpoint)
    train(new, fresh, 2)
    assert read(tmp_path)["records"] == [{"step": 2, "since": 0, "flips": [0.2]}]


def test_a_checkpoint_without_flips_begins_where_it_is(tmp_path):
    runner, hook = make_runner(tmp_path, step=4), RecordFlips(interval=5)
    hook.after_load_checkpoint(runner, {})
    train(runner, hook, 1)
    assert read(tmp_path)["records"] == [{"step": 5, "since": 4, "flips": [0.1]}]


def test_all_bases_of_a_method_count(tmp_path):
    runner, hook = make_runner(tmp_path, method="abc_net"), RecordFlips(interval=1)
    torch.manual_seed(0)
    torch.nn.init.normal_(runner.model[1].weight)
    hook.before_train(runner)
    conv = runner.model[1]
    before = [codes for _, codes in conv.weight_binarizer.terms(conv.weight)]
    with torch.no_grad():
        conv.weight.view(-1)[:4] *= -3
    after = [codes for _, codes in conv.weight_binarizer.terms(conv.weight)]
    hook.after_train_iter(runner, 0)
    changed = torch.stack(before) != torch.stack(after)
    assert len(before) > 1
    expected = changed.double().mean().item()
    assert read(tmp_path)["records"][0]["flips"] == [pytest.approx(expected, abs=1e-6)]
    assert expected > 0


def test_an_offset_has_no_codes_to_flip(tmp_path):
    runner, hook = make_runner(tmp_path, method="adabin"), RecordFlips(interval=1)
    weight = runner.model[1].weight
    with torch.no_grad():
        weight.copy_(torch.linspace(-1, 1, weight.numel()).view_as(weight))
    hook.before_train(runner)
    with torch.no_grad():
        weight.neg_()
    hook.after_train_iter(runner, 0)
    # Every code but those of the filters' means, which a sign of 0 leaves at +1.
    flips = read(tmp_path)["records"][0]["flips"]
    assert flips == [pytest.approx(1.0, abs=0.1)]


def test_names_are_those_of_the_task_model(tmp_path):
    runner, hook = make_runner(tmp_path), RecordFlips(interval=1)
    wrapper = torch.nn.Module()
    wrapper.model = runner.model
    runner.model = wrapper
    hook.before_train(runner)
    hook.after_train_iter(runner, 0)
    assert read(tmp_path)["layers"] == ["1"]


def test_other_ranks_and_full_precision_write_nothing(tmp_path):
    runner = make_runner(tmp_path)
    runner.rank = 1
    train(runner, RecordFlips(interval=1), 2)
    plain = make_runner(tmp_path)
    plain.model = torch.nn.Conv2d(1, 1, 1)
    hook = RecordFlips(interval=1)
    hook.before_train(plain)
    hook.after_train_iter(plain, 0)
    assert not list(tmp_path.iterdir())


def test_order_and_interval():
    steps = (ClipLatentWeights, RecordFlips, SaveCheckpoint)
    numbers = [get_priority(hook.priority) for hook in steps]
    assert numbers == sorted(set(numbers))
    with pytest.raises(ValueError, match="at least 1 step"):
        RecordFlips(interval=0)
