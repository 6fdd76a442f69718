"""The teacher sees the same pixels, by its own normalisation and resolution."""

from __future__ import annotations

import pytest
import torch
from mmengine.model import ImgDataPreprocessor
from mmseg.registry import MODELS

import cmim.encoders  # noqa: F401
import tasks.classification  # noqa: F401
from cmim.functional.alignment import resize_features
from cmim.models import CMIM, teacher_view
from cmim.models.teacher_view import TeacherView, teacher_normalisation

OURS = dict(mean=[123.7, 116.3, 103.5], std=[58.4, 57.1, 57.4])
THEIRS = dict(mean=[127.5, 100.0, 90.0], std=[127.5, 64.0, 70.0])


def model(pictures: dict | None, swap: str | None = None, depth: int = 20) -> dict:
    backbone = dict(type="BinaryResNet", depth=depth, base_channels=4)
    head = dict(type="LinearHead", in_channels=16, num_classes=3)
    found = dict(type="ImageClassifier", backbone=backbone, head=head)
    if pictures is not None:
        swapped = {swap: True} if swap else {}
        prepare = dict(type="ImgDataPreprocessor", **pictures, **swapped)
        found["data_preprocessor"] = prepare
    return found


def prepared(config: dict, pixels: torch.Tensor) -> torch.Tensor:
    """What mmengine's own preprocessor makes of pixels."""
    options = dict(config["data_preprocessor"])
    del options["type"]
    return ImgDataPreprocessor(**options)(dict(inputs=list(pixels)))["inputs"]


@pytest.mark.parametrize("own_swap", [None, "bgr_to_rgb"])
@pytest.mark.parametrize("their_swap", [None, "bgr_to_rgb", "rgb_to_bgr"])
@pytest.mark.parametrize("theirs", [OURS, THEIRS], ids=["same", "other"])
def test_the_pictures_are_those_of_its_own_preprocessor(own_swap, their_swap, theirs):
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(256, (2, 3, 5, 7), generator=generator).to(torch.uint8)
    student, teacher = model(OURS, own_swap), model(theirs, their_swap)
    view = TeacherView(teacher_normalisation(student, teacher))
    inputs, expected = (prepared(config, pixels) for config in (student, teacher))
    torch.testing.assert_close(view(inputs), expected, rtol=1e-5, atol=1e-5)
    if theirs is OURS and bool(own_swap) == bool(their_swap):
        assert view(inputs) is inputs


def test_what_is_not_known_changes_nothing(monkeypatch):
    said: list[str] = []
    monkeypatch.setattr(teacher_view, "print_log", lambda text, **_: said.append(text))
    assert teacher_normalisation(model(OURS), model(None)) is None
    assert teacher_normalisation(model(None), model(None)) is None
    assert teacher_normalisation(model(None), model(THEIRS)) is None
    assert len(said) == 1
    assert "teacher's normalisation is not applied" in said[0]


def test_one_number_counts_for_every_band():
    grey = dict(mean=[100.0], std=[50.0])
    found = teacher_normalisation(model(OURS), model(grey))
    pixels = torch.full((1, 3, 2, 2), 200.0)
    inputs = prepared(model(OURS), pixels)
    torch.testing.assert_close(found(inputs), torch.full((1, 3, 2, 2), 2.0))


@pytest.mark.parametrize(
    ("ours", "theirs", "swap", "said"),
    [
        (4, 4, "bgr_to_rgb", "known for 3 bands and not for 4"),
        (4, 3, None, "both read the same bands"),
    ],
)
def test_other_bands_are_refused(ours, theirs, swap, said):
    student, teacher = (
        dict(mean=[100.0 + bands] * bands, std=[50.0] * bands)
        for bands in (ours, theirs)
    )
    teacher["mean"][0] = 1.0
    with pytest.raises(ValueError, match=said):
        teacher_normalisation(model(student), model(teacher, swap))


@pytest.mark.parametrize("resolution", [0, -1.0, float("nan"), float("inf"), True, "1"])
def test_a_resolution_that_is_none_is_refused(resolution):
    with pytest.raises(ValueError, match="teacher_resolution is a share of the"):
        CMIM(model(OURS), "latent", teacher_resolution=resolution)


def test_resolution_is_a_share_of_both_sides():
    inputs = torch.randn(2, 3, 8, 12)
    expected = resize_features(inputs, (4, 6))
    assert torch.equal(TeacherView(resolution=0.5)(inputs), expected)
    assert TeacherView(resolution=1)(inputs) is inputs
    assert TeacherView(resolution=0.01)(inputs).shape == (2, 3, 1, 1)


@pytest.fixture
def trained(tmp_path) -> str:
    """A teacher whose checkpoint says its pictures."""
    pictures = dict(**THEIRS, swapped=False)
    network = MODELS.build(model(THEIRS))
    torch.manual_seed(0)
    saved = dict(state_dict=network.state_dict(), identity=dict(pictures=pictures))
    torch.save(saved, tmp_path / "teacher.pth")
    return str(tmp_path / "teacher.pth")


def test_the_checkpoint_is_compared_with_the_teachers_config(trained):
    """Its pictures are those that its config says, the student's where it says none."""
    options = dict(teacher=trained, taps="last_stage")
    found = CMIM(model(OURS), "teacher", teacher_model=model(THEIRS), **options)
    assert found.teacher.view.normalisation is not None
    found.check_teacher(dict(pictures=dict(**OURS, swapped=False)))
    wrong = dict(THEIRS, mean=[1.0, 2.0, 3.0])
    for teacher_model in (None, model(None), model(wrong)):
        with pytest.raises(ValueError, match=r"its pictures .*teacher_model\.data_pre"):
            CMIM(model(OURS), "teacher", teacher_model=teacher_model, **options)
