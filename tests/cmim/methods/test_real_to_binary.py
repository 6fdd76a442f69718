"""Real-to-Binary against NumPy: gates and their gradients; its steps; its loss."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from mmseg.registry import MODELS
from mmseg.structures import SegDataSample
from torch import nn

import tasks.classification  # noqa: F401
from cmim.added_losses import AddedLosses, AttentionMatchingLoss
from cmim.contrast.taps import Tap
from cmim.encoders import BinaryResNet
from cmim.functional.distillation import attention_matching_distance
from cmim.methods import get_method
from cmim.methods.real_to_binary import ChannelGate
from cmim.models import CMIM, full_precision_twin


def make_gate(dtype: torch.dtype = torch.float64) -> ChannelGate:
    torch.manual_seed(0)
    return ChannelGate(16, 6, reduction=4).to(dtype)


def numpy_gate(a: np.ndarray, gate: ChannelGate) -> tuple[np.ndarray, ...]:
    """Means, hidden values and factors of each sample."""
    reduce, expand = gate.reduce.detach().numpy(), gate.expand.detach().numpy()
    mean = a.mean((2, 3))
    hidden = mean @ reduce.T
    factor = 1 / (1 + np.exp(-(np.maximum(hidden, 0) @ expand.T)))
    return mean, hidden, factor


def test_gate_and_every_gradient(upstream):
    gate = make_gate()
    random = np.random.default_rng(1)
    # A sample of zeros has the gate 1/2, and no gradient through the kink at 0.
    out, a = random.normal(size=(3, 6, 5, 4)), random.normal(size=(3, 16, 5, 4))
    a[1] = 0.0
    y, x = (torch.from_numpy(v).requires_grad_() for v in (out, a))
    found = gate(y, x)
    gradient = upstream(out.shape)
    found.backward(torch.from_numpy(gradient))
    mean, hidden, factor = numpy_gate(a, gate)
    assert (factor[1] == 0.5).all()
    wide = factor[:, :, None, None]
    np.testing.assert_allclose(found.detach(), out * wide, rtol=1e-12)
    np.testing.assert_allclose(y.grad, gradient * wide, rtol=1e-12)
    slope = (gradient * out).sum((2, 3)) * factor * (1 - factor)
    np.testing.assert_allclose(
        gate.expand.grad, slope.T @ np.maximum(hidden, 0), rtol=1e-9, atol=1e-12
    )
    inner = slope @ gate.expand.detach().numpy() * (hidden > 0)
    np.testing.assert_allclose(gate.reduce.grad, inner.T @ mean, rtol=1e-9, atol=1e-12)
    expected = (inner @ gate.reduce.detach().numpy() / 20)[:, :, None, None]
    expected = np.broadcast_to(expected, a.shape)
    np.testing.assert_allclose(x.grad, expected, rtol=1e-9, atol=1e-12)
    assert not x.grad[1].any()


def test_features_keep_their_type():
    gate = make_gate(torch.bfloat16)
    out, a = torch.randn(2, 6, 3, 3).bfloat16(), torch.randn(2, 16, 3, 3).bfloat16()
    found = gate(out, a)
    assert found.dtype == torch.bfloat16
    exact = copy.deepcopy(gate).double()(out.double(), a.double())
    torch.testing.assert_close(found.double(), exact, rtol=2**-5, atol=2**-5)
    mixed = make_gate(torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        assert mixed(out, a).dtype == torch.bfloat16


@pytest.mark.parametrize(("channels", "hidden"), [(3, 3), (16, 8), (64, 8), (96, 12)])
def test_narrow_layers_have_enough_hidden_values(channels, hidden):
    assert ChannelGate(channels, 5, reduction=8).reduce.shape == (hidden, channels)


def test_weights_have_a_window_and_are_clipped(weights, upstream):
    binarize = get_method("real_to_binary").weight((4, 2, 3, 3))
    weight = torch.from_numpy(weights).requires_grad_()
    binary = binarize(weight)
    gradient = upstream(weights.shape)
    binary.backward(torch.from_numpy(gradient))
    np.testing.assert_array_equal(binary.detach(), np.where(weights >= 0, 1.0, -1.0))
    np.testing.assert_array_equal(weight.grad, gradient * (np.abs(weights) <= 1))
    assert binarize.clip_latent
    expected = np.clip(weights, -1, 1)
    np.testing.assert_array_equal(binarize.bound_latent(weight), expected)


@pytest.mark.parametrize("options", [{"step": 3}, {"step": 0}, {"reduction": 0}])
def test_other_options_are_refused(options):
    with pytest.raises(ValueError, match="method 'real_to_binary'"):
        get_method({"name": "real_to_binary", **options})


def task_model(step: int, init_from: str | None = None) -> dict:
    method = dict(name="real_to_binary", step=step)
    backbone = dict(
        type="BinaryResNet",
        depth=20,
        base_channels=4,
        method=method,
        init_from=init_from,
    )
    head = dict(type="LinearHead", in_channels=16, num_classes=3)
    return dict(type="ImageClassifier", backbone=backbone, head=head)


def save(config: dict, path) -> str:
    torch.manual_seed(1)
    torch.save({"state_dict": MODELS.build(config).state_dict()}, path)
    return str(path)


def losses_of(model: CMIM) -> dict[str, float]:
    made = [SegDataSample(metainfo=dict(sample_idx=k)) for k in range(2)]
    for label, sample in enumerate(made):
        sample.set_data(dict(gt_label=label))
    torch.manual_seed(2)
    losses = model.train()(torch.randn(2, 3, 32, 32), made, mode="loss")
    return {k: v.item() for k, v in losses.items() if k.startswith("cmim.")}


def test_the_steps_of_the_docstring(tmp_path):
    """The twin teaches real weights; they start and teach the binary ones."""
    first = task_model(step=1)
    twin = save(full_precision_twin(first), tmp_path / "twin.pth")
    logits = dict(type="logit_distillation", weight=3.0)
    taught = CMIM(
        first, "none", teacher=twin, added_losses=["attention_matching", logits]
    )
    assert set(losses_of(taught)) == {
        "cmim.loss_attention_matching",
        "cmim.loss_logit_distillation",
    }
    checkpoint = save(first, tmp_path / "first.pth")
    second = CMIM(
        task_model(step=2, init_from=checkpoint),
        "none",
        teacher=checkpoint,
        teacher_model=first,
        added_losses=dict(logits, weight=0.8, temperature=1.0),
    )
    second.init_weights()
    ours, theirs = (
        m.backbone.state_dict() for m in (second.model, second.teacher.network)
    )
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(v, theirs[k]) for k, v in ours.items())
    assert losses_of(second)["cmim.loss_logit_distillation"] > 0


def encoder_in_a_task() -> nn.Module:
    model = nn.Module()
    model.backbone = BinaryResNet(method="real_to_binary", base_channels=4)
    return model


def test_matching_is_the_mean_over_stages_or_blocks():
    losses = AddedLosses("attention_matching", encoder_in_a_task())
    assert losses.names() == [f"backbone.layer{k}" for k in (1, 2, 3, 4)]
    blocks = AddedLosses(
        dict(type="attention_matching", weight=2.0, taps="backbone.layer?.?"),
        encoder_in_a_task(),
    )
    assert len(blocks.names()) == 8
    ours, theirs = ([torch.randn(2, 3, 4, 4) for _ in blocks.names()] for _ in range(2))
    pairs = list(zip(ours, theirs, strict=True))
    student = {n: Tap(x, x) for n, x in zip(blocks.names(), ours, strict=True)}
    teacher = dict(zip(blocks.names(), theirs, strict=True))
    found = blocks(student, teacher)["cmim.loss_attention_matching"]
    expected = 2 * sum(attention_matching_distance(*pair) for pair in pairs) / 8
    torch.testing.assert_close(found, expected)


def test_a_model_without_stages_is_refused():
    with pytest.raises(ValueError, match="found no stages"):
        AttentionMatchingLoss().attach(nn.Identity())
