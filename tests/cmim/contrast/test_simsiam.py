"""SimSiam against loops over samples and torch's own batch normalization."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from cmim.contrast import BatchLabels, ContrastOptions, get_loss
from cmim.contrast.losses.simsiam import JointBatchNorm
from cmim.contrast.pairs import IGNORED
from cmim.functional.siamese import negative_cosine

N, C, H, W = 3, 4, 3, 3


def make_loss(**options):
    torch.manual_seed(0)
    shared = {"projection": 8, "pixels": H * W, **options}
    return get_loss("simsiam")(C, C + 1, ContrastOptions(**shared)).double()


def make_inputs() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    binary = torch.randn(N, C, H, W, generator=generator, dtype=torch.float64)
    partner = torch.randn(N, C + 1, H, W, generator=generator, dtype=torch.float64)
    return binary, partner


def normalize(x: Tensor) -> Tensor:
    """Batch normalization of vectors, a channel at a time."""
    out = torch.empty_like(x)
    for c in range(x.shape[1]):
        mean = sum(x[:, c].tolist()) / len(x)
        variance = sum((v - mean) ** 2 for v in x[:, c].tolist()) / len(x)
        out[:, c] = (x[:, c] - mean) / math.sqrt(variance + 1e-5)
    return out


def naive_loss(loss, binary: Tensor, partner: Tensor) -> float:
    sides = []
    for features, layers in (
        (binary, loss.project_binary),
        (partner, loss.project_partner),
    ):
        pixels = features.permute(0, 2, 3, 1).reshape(-1, features.shape[1])
        z = normalize(pixels @ layers[0].weight.T)
        inner, norm, _, outer = loss.predictor
        hidden = normalize(z @ inner.weight.T) * norm.weight + norm.bias
        sides.append((z, hidden.clamp(min=0) @ outer.weight.T + outer.bias))
    (z_b, p_b), (z_f, p_f) = sides
    total = 0.0
    for p, z in [*zip(p_b, z_f, strict=True), *zip(p_f, z_b, strict=True)]:
        p, z = p.detach(), z.detach()
        total -= float(p @ z) / math.sqrt(float(p @ p) * float(z @ z))
    return total / (2 * len(z_b))


def test_equals_the_loops():
    loss, features = make_loss(), make_inputs()
    expected = naive_loss(loss, *features)
    assert loss(*features).item() == pytest.approx(expected, rel=1e-9)


def test_negative_cosine_by_hand_and_degenerate():
    p = torch.tensor([[3.0, 4.0], [1.0, 0.0], [0.0, 0.0]], requires_grad=True)
    z = torch.tensor([[4.0, 3.0], [-2.0, 0.0], [1.0, 0.0]], requires_grad=True)
    value = negative_cosine(p, z)
    torch.testing.assert_close(value.detach(), torch.tensor([-0.96, 1.0, 0.0]))
    value.sum().backward()
    assert z.grad is None
    assert p.grad.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_lengths_do_not_matter_in_any_precision(dtype):
    generator = torch.Generator().manual_seed(2)
    p = torch.randn(5, 8, generator=generator, dtype=torch.float64)
    z = torch.randn(5, 8, generator=generator, dtype=torch.float64)
    value = negative_cosine((1000 * p).to(dtype), (z / 1000).to(dtype))
    tolerance = 1e-5 if dtype == torch.float32 else 2e-2
    torch.testing.assert_close(
        value.double(), negative_cosine(p, z), rtol=0, atol=tolerance
    )


@pytest.mark.parametrize("affine", [False, True])
def test_batch_normalization_is_torchs(affine):
    ours, torchs = JointBatchNorm(6, affine, True), nn.BatchNorm1d(6, affine=affine)
    for step in range(3):
        x = torch.randn(5, 6, generator=torch.Generator().manual_seed(step))
        a, b = x.clone().requires_grad_(), x.clone().requires_grad_()
        out, expected = ours(a), torchs(b)
        torch.testing.assert_close(out, expected)
        weights = torch.arange(30.0).view(5, 6)
        (out * weights).sum().backward()
        (expected * weights).sum().backward()
        torch.testing.assert_close(a.grad, b.grad, rtol=1e-4, atol=1e-4)
    expected_state = torchs.state_dict()
    expected_state.pop("num_batches_tracked")  # torch's rate may depend on it
    torch.testing.assert_close(ours.state_dict(), expected_state)
    torch.testing.assert_close(ours.eval()(x), torchs.eval()(x))


def test_sync_bn_leaves_the_loss_alone():
    """The runner converts torch's batch-norms, which then ask for a GPU and a group."""
    loss = make_loss(gather=False)
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(loss)
    assert not [m for m in converted.modules() if isinstance(m, nn.SyncBatchNorm)]


def test_anchors_of_unknown_label_count_in_the_statistics_only():
    loss, (binary, partner) = make_loss(), make_inputs()
    binary.requires_grad_()
    height, width = binary.shape[2:]
    maps = torch.full((len(binary), height, width), IGNORED)
    value = loss(binary, partner, BatchLabels(exclude=maps))
    value.backward()
    assert value == 0
    assert (binary.grad == 0).all()
    maps[0] = 1
    alone = loss(binary, partner, BatchLabels(exclude=maps))
    assert alone != 0
    assert alone != loss(binary, partner)


def test_value_by_hand():
    """Identity everywhere: the cosine of (1, 1) and (1, 0), both ways."""
    options = ContrastOptions(projection=2, pixels=1)
    loss = get_loss({"name": "simsiam", "hidden": 2})(2, 2, options).double().eval()
    for layer in loss.modules():
        if isinstance(layer, nn.Linear):
            nn.init.eye_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
    binary = torch.ones(1, 2, 1, 1, dtype=torch.float64)
    partner = torch.tensor([1.0, 0.0], dtype=torch.float64).view(1, 2, 1, 1)
    assert loss(binary, partner).item() == pytest.approx(-math.sqrt(0.5))


def test_affine_changes_of_features_do_not_matter():
    """Batch normalization takes them out: no escape through scale or offset."""
    loss, (binary, partner) = make_loss(), make_inputs()
    torch.testing.assert_close(
        loss(3 * binary + 2, 0.5 * partner - 1),
        loss(binary, partner),
        atol=1e-3,
        rtol=0,
    )


@pytest.mark.parametrize("stop_gradient", [True, False])
def test_the_second_half_ends_where_the_option_says(stop_gradient):
    loss, (binary, partner) = make_loss(stop_gradient=stop_gradient), make_inputs()
    binary.requires_grad_()
    partner.requires_grad_()
    loss(binary, partner).backward()
    assert (partner.grad is None) == stop_gradient
    assert binary.grad.abs().sum() > 0
    assert loss.project_partner[0].weight.grad.abs().sum() > 0


def test_targets_are_constant():
    """With the predictor at zero no gradient is left to either side."""
    loss, (binary, partner) = make_loss(stop_gradient=False), make_inputs()
    loss.predictor[3].weight.data.zero_()
    binary.requires_grad_()
    partner.requires_grad_()
    loss(binary, partner).backward()
    assert (binary.grad == 0).all()
    assert (partner.grad == 0).all()


def test_a_single_sample_gives_zero():
    value = make_loss(level="image")(*[x[:1] for x in make_inputs()])
    assert value.item() == 0


def test_hidden_must_be_positive():
    with pytest.raises(ValueError, match="hidden must be positive, got 0"):
        get_loss({"name": "simsiam", "hidden": 0})(C, C, ContrastOptions())
