"""Reading checkpoints: whole, safe and of the right model, or one clear sentence."""

from __future__ import annotations

import os
import pickle
import random
from functools import partial
from pathlib import Path

import pytest
import torch
from torch import nn

from cmim.checkpoint import (
    CheckpointError,
    check_structure,
    load_strictly,
    load_task_weights,
    read_checkpoint,
    structure,
)
from cmim.engine.joined_batch_norm import join_batch_norms


def make_model(seed: int = 0, width: int = 4) -> nn.Module:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(3, width), nn.BatchNorm1d(width))


@pytest.fixture
def path(tmp_path) -> Path:
    """A checkpoint as training writes it, with the state of the loss."""
    state = dict(make_model(seed=7).state_dict())
    state["contrast.layer4.project_binary.weight"] = torch.zeros(2, 3)
    optimizer = torch.optim.AdamW(make_model().parameters()).state_dict()
    checkpoint = {"state_dict": state, "optimizer": optimizer, "meta": {"epoch": 3}}
    torch.save(checkpoint, tmp_path / "last.pth")
    return tmp_path / "last.pth"


def refusal(path: Path) -> str:
    """The sentence with which a file is refused, whatever is wrong with it."""
    with pytest.raises(CheckpointError) as error:
        read_checkpoint(path)
    sentence = str(error.value)
    assert sentence.startswith(f"checkpoint '{path}' ")
    assert "\n" not in sentence
    assert ". " not in sentence
    return sentence


def assert_same_weights(model: nn.Module, other: nn.Module) -> None:
    theirs = other.state_dict()
    for key, value in model.state_dict().items():
        assert torch.equal(value, theirs[key]), key


@pytest.mark.parametrize("kind", [str, Path])
def test_reads_everything_back(path, kind):
    checkpoint = read_checkpoint(kind(path))
    assert checkpoint["meta"] == {"epoch": 3}
    assert set(checkpoint) == {"state_dict", "optimizer", "meta"}
    weight = checkpoint["state_dict"]["0.weight"]
    assert torch.equal(weight, make_model(seed=7)[0].weight)
    assert weight.device.type == "cpu"


def test_a_bare_state_dict_is_accepted(tmp_path):
    torch.save(make_model(seed=7).state_dict(), tmp_path / "bare.pth")
    assert set(read_checkpoint(tmp_path / "bare.pth")) == {"state_dict"}
    model = make_model()
    load_task_weights(model, tmp_path / "bare.pth")
    assert_same_weights(model, make_model(seed=7))


def test_task_weights_leave_the_state_of_the_loss_out(path):
    model = make_model()
    checkpoint = load_task_weights(model, path)
    assert_same_weights(model, make_model(seed=7))
    assert checkpoint["meta"] == {"epoch": 3}


def test_missing_file_says_where_training_writes_it(tmp_path):
    assert "does not exist; training writes" in refusal(tmp_path / "none.pth")
    assert "does not exist" in refusal(tmp_path)


@pytest.mark.parametrize("percent", [0, 1, 10, 50, 90, 99])
def test_a_half_written_file_is_refused(path, percent):
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * percent // 100])
    assert "is damaged or half-written; use another copy or train" in refusal(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_no_truncation_and_no_garbage_escapes_as_another_error(path):
    whole, chance = path.read_bytes(), random.Random(0)
    for size in [*range(12), *range(12, len(whole), len(whole) // 40)]:
        path.write_bytes(whole[:size])
        refusal(path)
    for _ in range(150):
        path.write_bytes(chance.randbytes(chance.randrange(1, 120)))
        refusal(path)


@pytest.mark.parametrize(
    "content",
    [
        b"<html>404 Not Found</html>",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n",
        b"\x89PNG\r\n\x1a\n" + bytes(60),
    ],
)
def test_foreign_files_are_refused(path, content):
    path.write_bytes(content)
    assert "is not a plain checkpoint of tensors; only files that" in refusal(path)


class CreatesFolder:
    """Unpickling this object would create a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def save_with_pickle(content: object, path: Path) -> None:
    path.write_bytes(pickle.dumps(content, protocol=2))


def load_with_pickle(path: Path) -> None:
    pickle.loads(path.read_bytes())


@pytest.mark.parametrize(
    ("save", "load_unsafely"),
    [
        (torch.save, partial(torch.load, weights_only=False)),
        (save_with_pickle, load_with_pickle),
    ],
)
def test_nothing_in_a_checkpoint_is_executed(
    save, load_unsafely, tmp_path, monkeypatch
):
    folder, path = tmp_path / "created", tmp_path / "evil.pth"
    save({"state_dict": {}, "meta": CreatesFolder(folder)}, path)
    sentence = refusal(path)
    assert not folder.exists()
    assert "only files that load with torch.load(weights_only=True)" in sentence
    assert "False" not in sentence  # torch's own text advises to trust the file
    # The same file is a real threat, or this test would prove nothing.
    monkeypatch.delenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD")
    load_unsafely(path)
    assert folder.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([torch.zeros(2)], "holds a list, expected a dictionary with 'state_dict'"),
        (torch.zeros(2), "holds a Tensor, expected"),
        ({"state_dict": [1]}, "has no state dict, a dictionary of named tensors"),
        ({"state_dict": {"a": 1}}, "has no state dict"),
        ({"model": {"a": torch.zeros(2)}, "epoch": 3}, "has no state dict"),
        ({0: torch.zeros(2)}, "has no state dict"),
    ],
    ids=str,
)
def test_other_contents_are_refused(content, said, tmp_path):
    torch.save(content, tmp_path / "other.pth")
    assert said in refusal(tmp_path / "other.pth")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state.pop("0.bias"), "1 missing (first '0.bias')"),
        (
            lambda state: state.update({"2.weight": torch.zeros(1)}),
            "1 unexpected (first '2.weight')",
        ),
        (
            lambda state: state.update(make_model(width=5).state_dict()),
            "6 of another shape (first '0.weight')",
        ),
        (
            lambda state: state.update({"x": state.pop("0.weight")}),
            "1 missing (first '0.weight'), 1 unexpected (first 'x')",
        ),
    ],
)
def test_another_model_is_one_sentence_and_nothing_is_loaded(change, said, path):
    state = dict(make_model(seed=7).state_dict())
    change(state)
    torch.save({"state_dict": state}, path)
    model = make_model()
    with pytest.raises(CheckpointError, match="is of another model") as error:
        load_task_weights(model, path)
    assert str(error.value) == (
        f"checkpoint '{path}' is of another model: {said}; use the config it was "
        "trained with"
    )
    assert_same_weights(model, make_model())


@pytest.mark.parametrize("shared", ["torch's", "ours"])
def test_batch_norms_of_several_processes_are_those_of_one(shared):
    alone, several = make_model(), make_model()
    if shared == "ours":
        assert join_batch_norms(several) == 1
        assert structure(several) == structure(alone)
    else:
        several = nn.SyncBatchNorm.convert_sync_batchnorm(several)
    for ours, theirs in ((alone, several), (several, alone), (several, several)):
        check_structure(ours, {"structure": structure(theirs)}, "a.pth")
    other = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    with pytest.raises(CheckpointError, match="'1' is ReLU there"):
        check_structure(several, {"structure": structure(other)}, "a.pth")


def test_load_strictly_takes_a_state_of_the_same_model():
    model = make_model()
    load_strictly(model, make_model(seed=7).state_dict(), "a.pth")
    assert_same_weights(model, make_model(seed=7))


def test_errors_are_value_errors():
    assert issubclass(CheckpointError, ValueError)


@pytest.mark.parametrize("other", ["LayerNorm", "GroupNorm", "missing"])
def test_only_a_batch_norm_is_the_shared_one(other):
    saved = dict(structure={"0": other})
    layer = nn.Sequential(nn.SyncBatchNorm(4))
    with pytest.raises(CheckpointError, match="of another model"):
        check_structure(layer, saved, "x.pth")
