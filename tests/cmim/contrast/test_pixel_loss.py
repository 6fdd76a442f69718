"""InfoNCE on pixels against loops over anchors and candidates, and its invariances."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from cmim.contrast import BatchLabels, ContrastOptions, layer_loss, pair_loss
from cmim.contrast.losses.info_nce import InfoNceBound
from cmim.contrast.pair_loss import PairLoss
from cmim.contrast.pairs import IGNORED
from cmim.contrast.scores import Scores

N, C, H, W, P = 3, 4, 5, 6, 7


class PixelLoss(PairLoss):
    """InfoNCE that takes a bare map of labels."""

    def forward(self, binary, partner, labels=None):
        return super().forward(binary, partner, BatchLabels(exclude=labels))


def make_loss(channels: int = C, **options) -> PixelLoss:
    torch.manual_seed(0)
    options = {"projection": 3, "pixels": P, "temperature": 0.5, **options}
    shared = ContrastOptions(**options)
    return PixelLoss(channels, channels, shared, lambda _: InfoNceBound()).double()


def make_inputs(seed: int = 1, size: tuple[int, int] = (H, W)) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    partner = torch.randn(N, C, *size, generator=generator, dtype=torch.float64)
    return torch.where(partner < 0, -1.0, 1.0).double(), partner


def make_labels(seed: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-1, 3, (N, H, W), generator=generator)


def fix_positions(monkeypatch, positions: Tensor) -> None:
    monkeypatch.setattr(layer_loss, "sample_positions", lambda *_: positions)


def draw_positions(seed: int = 3) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(N, H * W, generator=generator).topk(P).indices


def project(layer: torch.nn.Linear, features: Tensor, positions: Tensor) -> list:
    """Unit vectors ``W a + b``, pixel by pixel, in NumPy."""
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    vectors = []
    for image, places in zip(features.numpy(), positions.tolist(), strict=True):
        for place in places:
            z = weight @ image[:, place // W, place % W] + bias
            vectors.append(z / math.sqrt(float(z @ z)))
    return vectors


def naive_nce(
    anchors: list, candidates: list, labels: list, others: list, tau: float
) -> float:
    """Mean over the anchors that take part; candidate i is the positive of anchor i."""
    total, taking_part = 0.0, 0
    for i, anchor in enumerate(anchors):
        if labels[i] == IGNORED:
            continue
        taking_part += 1
        positive = math.exp(float(anchor @ candidates[i]) / tau)
        negatives = 0.0
        for j, candidate in enumerate(candidates):
            unknown = IGNORED in (labels[i], others[j])
            if labels[i] is not None and (unknown or labels[i] == others[j]):
                continue
            if j != i:
                negatives += math.exp(float(anchor @ candidate) / tau)
        total -= math.log(positive / (positive + negatives))
    return total / max(taking_part, 1)


def naive_loss(
    loss: PixelLoss,
    features: tuple[Tensor, Tensor],
    positions: Tensor,
    labels: Tensor | None = None,
    past: tuple[list, list] = ([], []),
) -> float:
    z_binary = project(loss.project_binary, features[0], positions)
    z_partner = project(loss.project_partner, features[1], positions)
    picked: list = [None] * len(z_binary)
    if labels is not None:
        images = zip(labels.flatten(1).tolist(), positions.tolist(), strict=True)
        picked = [image[place] for image, places in images for place in places]
    tau = loss.options.temperature
    candidates, others = z_partner + past[0], picked + past[1]
    forward = naive_nce(z_binary, candidates, picked, others, tau)
    return (forward + naive_nce(z_partner, z_binary, picked, picked, tau)) / 2


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("temperature", [0.1, 0.5])
def test_equals_the_loops(monkeypatch, labelled, temperature):
    positions, features = draw_positions(), make_inputs()
    fix_positions(monkeypatch, positions)
    labels = make_labels() if labelled else None
    loss = make_loss(temperature=temperature)
    expected = naive_loss(loss, features, positions, labels)
    assert loss(*features, labels).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("labelled", [False, True])
@pytest.mark.parametrize("queue", [4, N * P + 5, 100])
def test_equals_the_loops_with_a_queue(monkeypatch, labelled, queue):
    loss, rows, kept = make_loss(queue=queue), [], []
    for step in range(4):
        positions, features = draw_positions(step), make_inputs(step)
        fix_positions(monkeypatch, positions)
        labels = make_labels(step) if labelled else None
        expected = naive_loss(loss, features, positions, labels, (rows, kept))
        value = loss(*features, labels)
        value.backward()  # the queue has moved on in place
        assert value.item() == pytest.approx(expected, rel=1e-9)
        rows = (rows + project(loss.project_partner, features[1], positions))[-queue:]
        flat = torch.zeros(N, H * W) if labels is None else labels.flatten(1)
        kept = (kept + flat.gather(1, positions).flatten().tolist())[-queue:]


def test_rows_queued_without_labels_are_never_negatives_of_labelled_anchors():
    loss, features = make_loss(queue=50, pixels=H * W), make_inputs()
    expected = loss.eval()(*features, make_labels())
    loss.train()(*features)
    assert loss.queue.filled.all()
    torch.testing.assert_close(loss(*features, make_labels()), expected)


@pytest.mark.parametrize("labelled", [False, True])
def test_the_length_of_features_does_not_matter_without_bias(labelled):
    loss, (binary, partner) = make_loss(), make_inputs()
    for layer in (loss.project_binary, loss.project_partner):
        torch.nn.init.zeros_(layer.bias)
    values = []
    for scale_binary, scale_partner in [(1, 1), (7, 1), (1, 0.01)]:
        torch.manual_seed(0)
        labels = make_labels() if labelled else None
        values.append(loss(scale_binary * binary, scale_partner * partner, labels))
    torch.testing.assert_close(values, [values[0]] * 3)


def test_the_order_of_images_does_not_matter(monkeypatch):
    loss, (binary, partner), labels = make_loss(), make_inputs(), make_labels()
    positions, order = draw_positions(), [2, 0, 1]
    fix_positions(monkeypatch, positions)
    before = loss(binary, partner, labels)
    fix_positions(monkeypatch, positions[order])
    after = loss(binary[order], partner[order], labels[order])
    torch.testing.assert_close(after, before)


def test_labels_come_from_the_centre_of_each_feature_pixel():
    loss, features, labels = make_loss(), make_inputs(), make_labels()
    large = labels.repeat_interleave(8, dim=1).repeat_interleave(8, dim=2)
    values = []
    for maps in (labels, large):
        torch.manual_seed(0)
        values.append(loss(*features, maps).item())
    assert values[0] == values[1] > 0


def test_partner_of_another_size_is_read_at_the_same_place():
    loss, (binary, partner) = make_loss(pixels=H * W), make_inputs()
    large = partner.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)
    expected = loss(binary, partner)  # every pixel is an anchor: no chance
    torch.testing.assert_close(loss(binary, large), expected)


@pytest.mark.parametrize("stop_gradient", [True, False])
def test_stop_gradient_spares_the_partner_but_trains_both_projections(stop_gradient):
    loss, (binary, partner) = make_loss(stop_gradient=stop_gradient), make_inputs()
    binary.requires_grad_()
    partner.requires_grad_()
    loss(binary, partner).backward()
    assert (partner.grad is None) == stop_gradient
    for tensor in [binary, *loss.parameters(), *[partner][stop_gradient:]]:
        assert tensor.grad.isfinite().all()
        assert tensor.grad.abs().sum() > 0


@pytest.mark.parametrize("queue", [0, 50])
@pytest.mark.parametrize("label", [IGNORED, 1])
def test_without_any_other_label_loss_and_gradients_are_exactly_zero(queue, label):
    loss, (binary, partner) = make_loss(stop_gradient=False, queue=queue), make_inputs()
    binary.requires_grad_()
    partner.requires_grad_()
    for _ in range(2):
        value = loss(binary, partner, torch.full((N, H, W), label))
        value.backward()
        assert value.item() == 0
        for tensor in (binary, partner, *loss.parameters()):
            assert (tensor.grad == 0).all()


def test_a_single_pixel_has_no_negatives():
    value = make_loss(pixels=1)(torch.ones(1, C, H, W), torch.ones(1, C, H, W))
    assert value.item() == 0


@pytest.mark.parametrize(
    ("size", "anchors"), [((H, W), P), ((40, 56), P), ((2, 3), 6), ((1, 1), 1)]
)
def test_cost_depends_on_images_and_pixels_only(monkeypatch, size, anchors):
    shapes = []

    class Recorded(Scores):
        def __init__(self, anchors, candidates, *options):
            super().__init__(anchors, candidates, *options)
            shapes.append((len(anchors), *[len(c.vectors) for c in candidates]))

    monkeypatch.setattr(pair_loss, "Scores", Recorded)
    make_loss(queue=11)(*make_inputs(size=size))
    assert sorted(shapes) == [(N * anchors,) * 2, (N * anchors, N * anchors, 11)]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("autocast", [True, False])
def test_half_precision_features_give_a_float32_loss(dtype, autocast):
    loss, (binary, partner) = make_loss(temperature=0.05).float(), make_inputs()
    binary, partner = binary.to(dtype).requires_grad_(), partner.to(dtype)
    torch.manual_seed(0)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        value = loss(binary, partner)
    value.backward()
    assert value.dtype == torch.float32
    assert binary.grad.dtype == dtype
    torch.manual_seed(0)
    exact = loss.double()(binary.double(), partner.double())
    assert value.item() == pytest.approx(exact.item(), rel=1e-5)


def test_saved_queue_gives_the_same_next_loss():
    loss, fresh = make_loss(queue=20), make_loss(queue=20)
    for seed in range(2):
        loss(*make_inputs(seed), make_labels(seed))
    resumed = make_loss(queue=20)
    torch.manual_seed(9)  # a resumed run has other weights until it has loaded
    torch.nn.init.normal_(resumed.project_binary.weight)
    resumed.load_state_dict({k: v.clone() for k, v in loss.state_dict().items()})
    values = []
    for part in (loss, resumed, fresh):
        torch.manual_seed(4)
        values.append([part(*make_inputs(s), make_labels(s)).item() for s in (5, 6)])
    assert values[0] == values[1]
    assert values[0] != values[2]


def test_evaluation_does_not_move_the_queue():
    loss = make_loss(queue=20).eval()
    loss(*make_inputs())
    assert not loss.queue.filled.any()


def test_bound_rises_when_binary_and_partner_agree():
    """Equal features and projections reach almost log of the candidates."""
    loss, (_, partner) = make_loss(temperature=0.005, projection=C), make_inputs()
    for layer in (loss.project_binary, loss.project_partner):
        torch.nn.init.eye_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    chance = math.log(N * P)
    assert loss(partner, partner).item() < 0.05 * chance
    assert loss(make_inputs(8)[1], partner).item() > chance


@pytest.mark.parametrize(
    "wrong", [{"pixels": 0}, {"projection": -1}, {"temperature": 0.0}, {"queue": -1}]
)
def test_sizes_must_be_positive(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(ValueError, match=f"^{name} must .* got {value}$"):
        make_loss(**wrong)


def test_scores_follow_numpy_for_one_pair_by_hand(monkeypatch):
    """Two pixels, identity projections, tau 1: cosines 1, 0 / 0, 1."""
    loss = make_loss(channels=2, projection=2, temperature=1.0)
    for layer in (loss.project_binary, loss.project_partner):
        torch.nn.init.eye_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    features = torch.tensor([[[[3.0, 0.0]], [[0.0, 5.0]]]]).double()
    assert loss(features, features).item() == pytest.approx(np.log1p(np.exp(-1)))
