"""Corrupted pictures: the package's, repeatable, and tested as clean ones are."""

from __future__ import annotations

import importlib.util
import json
from unittest import mock

import numpy as np
import pytest
import torch
from in_process import run_in_process

from cmim.engine import robustness
from cmim.engine.config_error import ConfigError
from cmim.engine.corruptions import KINDS, check_corruptions, corrupt_picture
from cmim.engine.robustness import CorruptedView

HERE = importlib.util.find_spec("imagecorruptions") is not None
needs_package = pytest.mark.skipif(not HERE, reason="imagecorruptions is not installed")


@pytest.fixture
def picture() -> torch.Tensor:
    rows, columns = torch.meshgrid(torch.arange(40), torch.arange(48), indexing="ij")
    planes = [5 * rows, 4 * columns, 2 * rows + columns]
    return torch.stack(planes).to(torch.uint8)


@needs_package
def test_kinds_are_those_of_the_package():
    from imagecorruptions import get_corruption_names

    assert get_corruption_names("common") == list(KINDS)


@needs_package
@pytest.mark.full
@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_repeatable_and_grows_with_its_severity(kind, picture):
    state = np.random.get_state()[1].tolist()  # noqa: NPY002
    once, again = (corrupt_picture(picture, kind, 5, 7) for _ in range(2))
    assert once.shape == picture.shape
    assert once.dtype == torch.uint8
    assert torch.equal(once, again)
    assert np.random.get_state()[1].tolist() == state  # noqa: NPY002
    weak = corrupt_picture(picture, kind, 1, 7)

    def change(found: torch.Tensor) -> float:
        return (found.float() - picture.float()).abs().mean().item()

    assert change(weak) > 0
    # Frost hides less and less of the picture itself, so that the mean need not grow.
    assert kind == "frost" or change(weak) < change(once)


@needs_package
def test_noise_is_of_the_published_strength_and_another_one_each_picture(picture):
    grey = torch.full((3, 64, 64), 128, dtype=torch.uint8)
    first, second = (corrupt_picture(grey, "gaussian_noise", 1, k) for k in (0, 1))
    assert not torch.equal(first, second)
    # ImageNet-C: a deviation of 0.08 of the whole range at severity 1.
    assert first.float().std().item() / 255 == pytest.approx(0.08, rel=0.03)
    # Contrast at severity 1: 0.4 times the distance to the mean of each colour.
    flat = corrupt_picture(picture, "contrast", 1, 0).float()
    means = picture.float().mean((1, 2), keepdim=True)
    expected = means + 0.4 * (picture.float() - means)
    assert (flat - expected).abs().max() <= 1


@needs_package
def test_what_cannot_be_corrupted_is_said(picture):
    with pytest.raises(ConfigError, match="three colours of 8 bits"):
        corrupt_picture(picture.float(), "fog", 1, 0)
    with pytest.raises(ConfigError, match="three colours of 8 bits"):
        corrupt_picture(torch.zeros(4, 40, 40, dtype=torch.uint8), "fog", 1, 0)
    with pytest.raises(ConfigError, match="31x48 pixels cannot be"):
        corrupt_picture(picture[:, :31], "fog", 1, 0)


@needs_package
@pytest.mark.parametrize(
    ("kinds", "severities", "images", "said"),
    [
        (["rain"], [1], None, "kinds of corruptions are gaussian_noise.*got 'rain'"),
        ("fog", [1], None, "kinds of corruptions"),
        (["fog"], [0, 6], None, "severities .* 1, 2, 3, 4, 5; got 0, 6"),
        (["fog"], [], None, r"severities .* got \[\]"),
        (["fog"], [1], 0, "at least 1 image, got images=0"),
    ],
)
def test_unknown_wishes_are_refused(kinds, severities, images, said):
    with pytest.raises(ConfigError, match=said):
        check_corruptions(kinds, severities, images)


@pytest.mark.skipif(HERE, reason="imagecorruptions is installed")
def test_a_missing_package_is_one_sentence():
    done = run_in_process("corrupt", "rooms_seg_bireal", "last.pth")
    assert done.returncode != 0
    assert "pip install 'cmim[robustness]'" in done.stderr


class Echo:
    """Predicts the pictures that it gets."""

    def test_step(self, batch):
        return list(batch["inputs"])


def darker(picture, kind, severity, place):
    return picture - severity - 10 * place


@pytest.mark.parametrize("stacked", [False, True])
def test_a_view_changes_each_picture_by_its_place(stacked, monkeypatch):
    monkeypatch.setattr(robustness, "corrupt_picture", darker)
    pictures = torch.full((3, 3, 4, 4), 100, dtype=torch.uint8)
    view = CorruptedView(Echo(), "fog", 2)
    seen = []
    for part in (pictures[:2], pictures[2:]):
        inputs = part if stacked else list(part)
        seen += view.test_step(dict(inputs=inputs, data_samples=[]))
    assert [int(each[0, 0, 0]) for each in seen] == [98, 88, 78]
    assert int(pictures.min()) == 100


@pytest.mark.full
def test_the_tool_tests_each_kind_and_severity(rooms, tmp_path):
    from cmim.engine.config import load_config
    from cmim.engine.train import prepare_training, train

    options = {
        "data_root": str(rooms),
        "train_cfg.max_iters": 1,
        "train_dataloader.batch_size": 2,
        "test_dataloader.dataset.limit": 3,
    }
    config = load_config("rooms_seg_bireal", options)
    tested = train(prepare_training(config, str(tmp_path / "run")))["test"]
    names = ("robustness.corrupt_picture", "corruptions.require_packages")
    with (
        mock.patch(f"cmim.engine.{names[0]}", darker),
        mock.patch(f"cmim.engine.{names[1]}"),
    ):
        done = run_in_process(
            "corrupt", "rooms_seg_bireal", tmp_path / "run" / "last.pth",
            "--cfg-options", f"data_root={rooms}", "--images", 3,
            "--kinds", "fog", "snow", "--severities", 1, 3,
            "--json", tmp_path / "found.json",
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert found["images"] == 3
    assert found["clean"] == {"mIoU": tested["mIoU"]}
    assert {k: list(v) for k, v in found["kinds"].items()} == {
        "fog": ["1", "3"],
        "snow": ["1", "3"],
    }
    assert len(done.stdout.splitlines()) == 3
