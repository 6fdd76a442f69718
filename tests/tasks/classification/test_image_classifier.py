"""Head and model: any resolution, modes, loss by hand, errors."""

import math

import numpy as np
import pytest
import torch
from mmengine.model import ImgDataPreprocessor
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample

import cmim.encoders  # noqa: F401 - registers the names used below
import tasks.classification  # noqa: F401
from tasks.classification import LinearHead


def labelled(*labels: int) -> list[SegDataSample]:
    samples = [SegDataSample() for _ in labels]
    for sample, label in zip(samples, labels, strict=True):
        sample.set_data(dict(gt_label=label))
    return samples


def build(**head):
    torch.manual_seed(0)
    config = dict(
        type="ImageClassifier",
        data_preprocessor=dict(
            type=ImgDataPreprocessor, mean=[128.0] * 3, std=[64.0] * 3
        ),
        backbone=dict(type="BinaryResNet", depth=18, base_channels=4),
        head=dict(type="LinearHead", **dict(in_channels=32, num_classes=6, **head)),
    )
    model = MODELS.build(config)
    model.init_weights()
    return model


@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 8)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_head_is_a_linear_map_of_the_mean(size, dtype):
    torch.manual_seed(0)
    head = LinearHead(4, 3).to(dtype)
    features = torch.randn(2, 4, *size, dtype=dtype)
    logits = head((torch.zeros(2, 9, 1, 1, dtype=dtype), features))
    pooled = features.double().numpy().mean(axis=(2, 3))
    expected = pooled @ head.fc.weight.detach().double().numpy().T
    expected = expected + head.fc.bias.detach().double().numpy()
    tolerance = dict(rtol=0, atol=3e-2 if dtype == torch.bfloat16 else 1e-6)
    np.testing.assert_allclose(logits.detach().double(), expected, **tolerance)


def test_a_head_without_pooling_reads_every_place():
    head = LinearHead(3 * 4 * 2, num_classes=5, pool=False)
    feature = torch.randn(2, 3, 4, 2)
    expected = feature.reshape(2, 24) @ head.fc.weight.T + head.fc.bias
    torch.testing.assert_close(head((feature,)), expected)
    with pytest.raises(ValueError, match="gives 30 values an image and the head"):
        head((torch.randn(2, 3, 5, 2),))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_loss_is_the_cross_entropy(smoothing, dtype):
    head = LinearHead(2, 2, label_smoothing=smoothing).to(dtype)
    with torch.no_grad():
        head.fc.weight.copy_(torch.eye(2))
        head.fc.bias.zero_()
    # Logits 0.5 and -0.5: the classes have log-odds 1.
    features = (torch.tensor([0.5, -0.5], dtype=dtype).view(1, 2, 1, 1),)
    loss = head.loss(features, labelled(0))["loss_ce"]
    right, wrong = math.log(1 + math.exp(-1)), math.log(1 + math.exp(1))
    expected = (1 - smoothing / 2) * right + smoothing / 2 * wrong
    assert loss.item() == pytest.approx(expected, rel=1e-6)
    # Half precision is summed in float32.
    assert loss.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (dict(in_channels=0, num_classes=2), "in_channels must be positive"),
        (dict(in_channels=4, num_classes=0), "num_classes must be positive"),
        (dict(in_channels=4, num_classes=2, dropout_ratio=1), "dropout_ratio must be"),
        (dict(in_channels=4, num_classes=2, label_smoothing=-1), "label_smoothing"),
    ],
)
def test_wrong_options_are_said(options, said):
    with pytest.raises(ValueError, match=said):
        LinearHead(**options)


@pytest.mark.parametrize("label", [-1, 6])
def test_a_label_out_of_range_is_said(label):
    with pytest.raises(ValueError, match=f"label {label} is out of range"):
        build().eval()(torch.zeros(1, 3, 32, 32), labelled(label), mode="loss")


def test_modes_agree():
    model = build().eval()
    inputs = torch.randn(3, 3, 40, 56)
    with torch.no_grad():
        logits = model(inputs)
        assert len(model.extract_feat(inputs)) == 4
        losses = model(inputs, labelled(1, 5, 0), mode="loss")
        predicted = model(inputs, labelled(1, 5, 0), mode="predict")
    expected = torch.nn.functional.cross_entropy(logits, torch.tensor([1, 5, 0]))
    assert losses["loss_ce"] == expected
    for row, sample in zip(logits, predicted, strict=True):
        assert torch.equal(sample.pred_logits, row)
        assert sample.pred_label == row.argmax()
    for arguments in (dict(mode="guess"), dict(mode="loss"), dict(mode="predict")):
        with pytest.raises(ValueError, match=r"mode '(guess|loss|predict)'"):
            model(inputs, **arguments)


def test_lists_and_stacked_batches_are_the_same():
    model = build().eval()
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    with torch.no_grad():
        stacked, listed = (
            model.test_step(dict(inputs=inputs, data_samples=labelled(0, 1)))
            for inputs in (images, list(images))
        )
    for a, b in zip(stacked, listed, strict=True):
        assert torch.equal(a.pred_logits, b.pred_logits)
    prepared = model.data_preprocessor(dict(inputs=images))["inputs"]
    assert torch.equal(prepared, (images.float() - 128) / 64)


def test_every_part_learns():
    model = build(dropout_ratio=0.2, label_smoothing=0.1).train()
    inputs = torch.randn(4, 3, 32, 32)
    model(inputs, labelled(0, 1, 2, 3), mode="loss")["loss_ce"].backward()
    still = [
        n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()
    ]
    assert not still


def test_a_head_for_another_encoder_is_said():
    head = LinearHead(64, num_classes=10)
    with pytest.raises(ValueError, match=r"set model\.head\.in_channels=16"):
        head((torch.zeros(2, 16, 4, 4),))
