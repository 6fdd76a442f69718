"""Kept features are those of the very picture, within a limit, and change nothing."""

from __future__ import annotations

import pytest
import torch
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import Tensor

import cmim.encoders  # noqa: F401
import tasks.classification  # noqa: F401
from cmim.models import CMIM, full_precision_twin, teacher_cache
from cmim.models.teacher_cache import DEFAULT_GB, FeatureCache, cache_of

BACKBONE = dict(type="BinaryResNet", depth=20, base_channels=4, method="bireal")
HEAD = dict(type="LinearHead", in_channels=16, num_classes=3)
STUDENT = dict(type="ImageClassifier", backbone=BACKBONE, head=HEAD)
NAMES = ["backbone.layer2", "backbone.layer3"]
# Of a picture of 32 pixels: 8 x 16 x 16 and 16 x 8 x 8 values of 4 bytes.
BYTES = 4 * (8 * 16 * 16 + 16 * 8 * 8)


@pytest.fixture
def twin(tmp_path) -> str:
    torch.manual_seed(1)
    network = MODELS.build(full_precision_twin(STUDENT))
    torch.save({"state_dict": network.state_dict()}, tmp_path / "twin.pth")
    return str(tmp_path / "twin.pth")


def model(twin: str, **options) -> CMIM:
    torch.manual_seed(0)
    return CMIM(STUDENT, "teacher", teacher=twin, **options)


def passes(wrapper: CMIM) -> list[int]:
    """How many pictures each pass of the teacher had."""
    found: list[int] = []
    wrapper.teacher.network.backbone.conv1.register_forward_hook(
        lambda module, args, output: found.append(len(args[0]))
    )
    return found


def pictures(*seeds: int) -> Tensor:
    return torch.stack(
        [
            torch.randn(3, 32, 32, generator=torch.Generator().manual_seed(s))
            for s in seeds
        ]
    )


def test_features_are_those_without_a_cache(twin):
    plain, kept = model(twin), model(twin, teacher_cache=True)
    seen = passes(kept)
    for seeds in [(0, 1, 2), (2, 0), (3, 1)]:
        found, expected = (m.teacher.features(pictures(*seeds)) for m in (kept, plain))
        assert list(found) == NAMES
        for name, value in expected.items():
            torch.testing.assert_close(found[name], value, rtol=1e-5, atol=1e-5)
    assert seen == [1] * 4
    assert len(kept.teacher.cache) == 4
    assert kept.teacher.cache.bytes == 4 * BYTES


@pytest.mark.parametrize("cast", [False, True])
def test_features_do_not_depend_on_the_batch_or_on_what_was_kept(twin, cast):
    """A resumed run has an empty cache, and goes on in the same bits."""
    first, resumed = (model(twin, teacher_cache=True) for _ in range(2))
    with torch.autocast("cpu", torch.bfloat16, enabled=cast):
        first.teacher.features(pictures(0, 1, 2, 3))
        found, expected = (
            m.teacher.features(pictures(3, 4, 1)) for m in (resumed, first)
        )
    for name, value in expected.items():
        assert torch.equal(found[name], value)


def test_a_picture_changed_anywhere_is_another_one(twin):
    kept = model(twin, teacher_cache=True)
    seen = passes(kept)
    picture = pictures(0)
    one_pixel = picture.clone()
    one_pixel[0, 2, 31, 31] += 1e-6
    for changed in (picture, picture.flip(3), one_pixel, picture, picture.flip(3)):
        kept.teacher.features(changed)
    assert len(seen) == 3


def test_autocast_and_types_have_features_of_their_own(twin):
    kept = model(twin, teacher_cache=True)
    plain = kept.teacher.features(pictures(0))
    with torch.autocast("cpu", torch.bfloat16):
        cast = kept.teacher.features(pictures(0))
    assert {x.dtype for x in cast.values()} == {torch.bfloat16}
    again = kept.teacher.features(pictures(0))
    assert all(torch.equal(again[name], value) for name, value in plain.items())
    assert len(kept.teacher.cache) == 2
    # Weights of another type or place: what was kept is of before.
    kept.double()
    assert len(kept.teacher.cache) == 0
    assert kept.teacher.cache.bytes == 0
    assert kept.teacher.features(pictures(0).double())[NAMES[0]].dtype == torch.float64


def test_the_limit_holds_and_is_said_once(twin, monkeypatch):
    said: list[str] = []
    monkeypatch.setattr(teacher_cache, "print_log", lambda text, **_: said.append(text))
    kept = model(twin, teacher_cache=2.5 * BYTES / 1e9)
    seen = passes(kept)
    for _ in range(2):
        kept.teacher.features(pictures(0, 1, 2, 3))
    # The first two stay; the others pass each time.
    assert len(seen) == 4 + 2
    assert len(kept.teacher.cache) == 2
    assert kept.teacher.cache.bytes == 2 * BYTES
    assert len(said) == 1
    assert "2 pictures in 0.00 GB" in said[0]
    assert "model.teacher_cache=GB" in said[0]


def test_training_takes_the_same_steps(twin):
    losses = []
    for cache in (False, True):
        wrapper = model(twin, teacher_cache=cache).train()
        optimizer = torch.optim.SGD(wrapper.parameters(), lr=0.1)
        torch.manual_seed(2)
        for _ in range(3):
            found = wrapper(pictures(0, 1, 2, 3), _samples(), mode="loss")
            loss = sum(x for name, x in found.items() if name.startswith("cmim."))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        losses.append(loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def _samples() -> list[SegDataSample]:
    made = [SegDataSample(metainfo=dict(sample_idx=k)) for k in range(4)]
    for sample in made:
        sample.set_data(dict(gt_label=0))
    return made


def test_what_the_option_means():
    assert cache_of(False) is None
    assert cache_of(True).limit == DEFAULT_GB * 1e9
    assert cache_of(2).limit == 2_000_000_000
    for wrong in (0, -1.0, float("inf"), float("nan"), "4"):
        with pytest.raises(ValueError, match="True for 4 GB at most, another limit"):
            cache_of(wrong)
    with pytest.raises(ValueError, match="got True"):
        FeatureCache(True)
