"""Class weights and focal loss against torch's and torchvision's, also on void."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.structures import PixelData
from mmseg.models import losses as published
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torchvision.ops import sigmoid_focal_loss

from tasks.segmentation import DeepLabHead
from tasks.segmentation.losses import FocalLoss

WEIGHTS = [1.0, 5.0, 0.0, 0.25]
BY_NAME = ("CrossEntropyLoss", published.CrossEntropyLoss)
FOCAL = ("FocalLoss", published.FocalLoss)


def samples(void: bool = False) -> list[SegDataSample]:
    labels = torch.randint(0, 4, (2, 1, 12, 16), generator=torch.manual_seed(1))
    labels[:, :, :5] = 255
    if void:
        labels[:] = 255
    found = [SegDataSample() for _ in labels]
    for sample, label in zip(found, labels, strict=True):
        sample.gt_sem_seg = PixelData(data=label)
    return found


def head(**loss) -> DeepLabHead:
    torch.manual_seed(0)
    return DeepLabHead(8, 4, 4, dilations=(1,), dropout_ratio=0, loss_decode=loss)


def value(model: DeepLabHead, given: list[SegDataSample]) -> torch.Tensor:
    logits = torch.randn(2, 4, 3, 4, generator=torch.manual_seed(2))
    model.logits = logits.requires_grad_()
    (loss,) = model.loss_by_feat(logits, given).values()
    return loss


def upsampled(model: DeepLabHead) -> torch.Tensor:
    return F.interpolate(model.logits, (12, 16), mode="bilinear", align_corners=False)


def labels_of(given: list[SegDataSample]) -> torch.Tensor:
    return torch.cat([s.gt_sem_seg.data for s in given])


@pytest.mark.parametrize("kind", BY_NAME)
@pytest.mark.parametrize("scale", [1.0, 1e-9])
def test_class_weights_give_torch_s_weighted_mean(kind, scale):
    weights = [scale * w for w in WEIGHTS]
    model = head(type=kind, avg_non_ignore=True, class_weight=weights, loss_weight=2.0)
    loss = value(model, samples())
    expected = 2 * F.cross_entropy(
        upsampled(model),
        labels_of(samples()),
        weight=torch.tensor(weights),
        ignore_index=255,
    )
    torch.testing.assert_close(loss, expected)
    (ours,) = torch.autograd.grad(loss, model.logits)
    (theirs,) = torch.autograd.grad(expected, model.logits)
    torch.testing.assert_close(ours, theirs)


def test_without_labels_weighted_loss_and_gradient_are_zero():
    model = head(type="CrossEntropyLoss", avg_non_ignore=True, class_weight=WEIGHTS)
    loss = value(model, samples(void=True))
    assert loss.item() == 0
    loss.backward()
    assert torch.equal(model.logits.grad, torch.zeros_like(model.logits))


@pytest.mark.parametrize(
    "options", [{}, {"avg_non_ignore": True}, {"use_sigmoid": True}]
)
def test_without_class_weights_it_is_mmseg_s_bit_for_bit(options):
    model = head(type="CrossEntropyLoss", **options)
    ours = value(model, samples())
    theirs = published.CrossEntropyLoss(**options)(
        upsampled(model), labels_of(samples()), ignore_index=255
    )
    assert torch.equal(ours, theirs)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"class_weight": [1.0, -1.0]}, "at least 0"),
        ({"class_weight": [1.0, float("nan")]}, "finite weights"),
        ({"class_weight": [0.0, 0.0]}, "not all of them 0"),
        ({"class_weight": WEIGHTS, "use_sigmoid": True}, "beside use_sigmoid"),
        ({"use_mask": True}, "leave it out"),
    ],
)
def test_weights_that_are_none_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        head(type="CrossEntropyLoss", **options)


@pytest.mark.parametrize("kind", ["CrossEntropyLoss", "FocalLoss"])
def test_a_weight_for_every_class_is_needed(kind):
    model = head(type=kind, class_weight=[1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="class_weight has 3 values and the head 4"):
        value(model, samples())


@pytest.mark.parametrize("kind", FOCAL)
@pytest.mark.parametrize(("gamma", "alpha"), [(2.0, 0.5), (0.0, 1.0), (1.5, 0.25)])
def test_focal_loss_is_torchvision_s_on_labelled_pixels(kind, gamma, alpha):
    model = head(type=kind, gamma=gamma, alpha=alpha)
    loss = value(model, samples())
    labels = labels_of(samples())
    known = labels != 255
    truth = F.one_hot(labels.where(known, 0), 4).movedim(-1, 1).float()
    terms = sigmoid_focal_loss(upsampled(model), truth, alpha=alpha, gamma=gamma)
    torch.testing.assert_close(loss, (terms * known.unsqueeze(1)).mean())
    loss.backward()
    assert model.logits.grad.isfinite().all()


def test_focal_loss_s_shares_and_weights_are_one_a_class():
    alone = head(type="FocalLoss", alpha=[0.5] * 4, class_weight=[2.0] * 4)
    both = value(alone, samples()), value(head(type="FocalLoss"), samples())
    torch.testing.assert_close(both[0], 2 * both[1])
    with pytest.raises(ValueError, match="alpha has 2 values and the head 4"):
        value(head(type="FocalLoss", alpha=[0.5, 0.5]), samples())


@pytest.mark.parametrize(
    "options",
    [{"gamma": -1.0}, {"alpha": 1.5}, {"use_sigmoid": False}, {"reduction": "avg"}],
    ids=str,
)
def test_focal_options_outside_their_range_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        head(type="FocalLoss", **options)


def test_losses_of_a_list_are_replaced_one_by_one():
    parts = [dict(type=published.FocalLoss), dict(type="DiceLoss")]
    torch.manual_seed(0)
    model = DeepLabHead(8, 4, 4, dilations=(1,), loss_decode=parts)
    found = model.loss_by_feat(torch.zeros(2, 4, 3, 4), samples())
    assert set(found) == {"loss_focal", "loss_dice"}


@pytest.mark.parametrize(
    "options",
    [
        {"type": "FocalLoss"},
        {"type": "CrossEntropyLoss"},
        {"type": "CrossEntropyLoss", "use_sigmoid": True},
        {"type": "CrossEntropyLoss", "class_weight": WEIGHTS, "avg_non_ignore": True},
    ],
    ids=str,
)
def test_an_empty_batch_is_0_with_a_gradient(options):
    logits = torch.zeros(0, 4, 3, 3, requires_grad=True)
    labels = torch.zeros(0, 3, 3, dtype=torch.long)
    loss = MODELS.build(options)(logits, labels, ignore_index=255)
    assert loss.item() == 0
    loss.backward()
    assert logits.grad is not None


@pytest.mark.parametrize("options", [{"alpha": True}, {"gamma": True}])
def test_focal_loss_takes_no_switch_for_a_number(options):
    with pytest.raises(ValueError, match="gamma must be at least 0 and alpha in"):
        FocalLoss(**options)
