"""Deep InfoMax against loops over images and places."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from cmim.contrast import BatchLabels, ContrastOptions, get_loss
from cmim.contrast.losses.dim import PriorDiscriminator

N, C, H, W = 3, 4, 2, 3


def make_loss(objective: str = "jensen_shannon", weights=(0.5, 1.0, 0.0), **options):
    torch.manual_seed(0)
    alpha, beta, gamma = weights
    shared = {"projection": 8, "pixels": H * W, **options}
    own = dict(alpha=alpha, beta=beta, gamma=gamma, objective=objective)
    build = get_loss({"name": "dim", **own})
    return build(C, C + 1, ContrastOptions(**shared)).double()


def make_inputs() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    binary = torch.randn(N, C, H, W, generator=generator, dtype=torch.float64)
    partner = torch.randn(N, C + 1, H, W, generator=generator, dtype=torch.float64)
    return 3 * binary, 3 * partner


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def naive_contrast(summaries: list, places: list, objective: str) -> float:
    """``places[i]`` are those of image i."""
    total = 0.0
    for i, y in enumerate(summaries):
        own = [float(y @ x) for x in places[i]]
        rest = [float(y @ x) for j, p in enumerate(places) if j != i for x in p]
        for s in own:
            if objective == "jensen_shannon":
                negative = sum(softplus(r) for r in rest) / len(rest)
                total += (softplus(-s) + negative) / len(own)
            else:
                denominator = math.exp(s) + sum(math.exp(r) for r in rest)
                total -= math.log(math.exp(s) / denominator) / len(own)
    return total / len(summaries)


def naive_loss(loss, binary: Tensor, partner: Tensor) -> float:
    summaries = [loss.summary(x.mean(dim=(1, 2))).detach() for x in binary]
    whole = [[loss.whole(x.mean(dim=(1, 2))).detach()] for x in partner]
    places = [list(loss.places(x.flatten(1).T).detach()) for x in partner]
    return loss.alpha * naive_contrast(
        summaries, whole, loss.objective
    ) + loss.beta * naive_contrast(summaries, places, loss.objective)


@pytest.mark.parametrize("chunk", [4, 1000])
@pytest.mark.parametrize("objective", ["jensen_shannon", "info_nce"])
def test_equals_the_loops(objective, chunk):
    loss, features = make_loss(objective, chunk=chunk), make_inputs()
    expected = naive_loss(loss, *features)
    assert loss(*features).item() == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("objective", "expected"),
    [("jensen_shannon", 2 * math.log(2)), ("info_nce", math.log(1 + (N - 1) * H * W))],
)
def test_by_hand_with_scores_of_zero(objective, expected):
    loss = make_loss(objective, (0.0, 1.0, 0.0))
    torch.nn.init.zeros_(loss.summary.weight)
    torch.nn.init.zeros_(loss.summary.bias)
    assert loss(*make_inputs()).item() == pytest.approx(expected)


@pytest.mark.parametrize("objective", ["jensen_shannon", "info_nce"])
def test_the_order_of_images_and_of_places_does_not_matter(objective):
    loss, (binary, partner) = make_loss(objective), make_inputs()
    expected = loss(binary, partner)
    order, places = [2, 0, 1], [4, 0, 5, 2, 1, 3]
    shuffled = [
        x[order].flatten(2)[:, :, places].view(N, -1, H, W) for x in (binary, partner)
    ]
    torch.testing.assert_close(loss(*shuffled), expected)


def test_terms_add_up():
    parts = {w: make_loss(weights=w) for w in [(1.0, 0.0, 0.0), (0.0, 1.0, 0.0)]}
    both = make_loss(weights=(0.3, 2.0, 0.0))
    for loss in parts.values():
        loss.load_state_dict(both.state_dict(), strict=False)
    first, second = (loss(*make_inputs()) for loss in parts.values())
    torch.testing.assert_close(both(*make_inputs()), 0.3 * first + 2 * second)


def test_prior_by_hand():
    """A discriminator of zeros does not know: log 2 for each judgement."""
    prior = PriorDiscriminator(3, hidden=(4, 2))
    for parameter in prior.parameters():
        torch.nn.init.zeros_(parameter)
    deceive, tell = prior.losses(torch.randn(5, 3), torch.rand(5, 3))
    torch.testing.assert_close(deceive, torch.full((5,), math.log(2)))
    torch.testing.assert_close(tell, torch.full((5,), 2 * math.log(2)))


def test_prior_trains_summary_and_discriminator_against_each_other():
    torch.manual_seed(0)
    prior, summary = PriorDiscriminator(3, hidden=(4, 2)), torch.randn(5, 3)
    summary.requires_grad_()
    deceive, tell = prior.losses(summary, torch.rand(5, 3))
    assert torch.autograd.grad(tell.sum(), summary, allow_unused=True)[0] is None
    weights = list(prior.parameters())
    grads = torch.autograd.grad(deceive.sum(), [summary, *weights], allow_unused=True)
    assert grads[0].abs().sum() > 0
    assert all(grad is None for grad in grads[1:])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_precision(dtype):
    loss, (binary, partner) = make_loss(), make_inputs()
    binary, partner = binary.to(dtype), partner.to(dtype)
    exact = loss(binary.double(), partner.double()).item()
    value = loss.float()(binary, partner)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(exact, rel=1e-5)


def test_one_image_alone_has_no_negatives():
    value = make_loss()(*[x[:1] for x in make_inputs()])
    assert value.item() == 0


def test_labels_are_refused_with_what_to_set():
    labels = BatchLabels(exclude=torch.zeros(N, H, W).long())
    with pytest.raises(ValueError, match="negatives='all'"):
        make_loss()(*make_inputs(), labels)


@pytest.mark.parametrize("weights", [(-1.0, 1.0, 0.0), (0.0, 0.0, 0.0)])
def test_weights_out_of_range(weights):
    with pytest.raises(ValueError, match="alpha, beta and gamma must not be negative"):
        make_loss(weights=weights)


def test_unknown_objective():
    with pytest.raises(ValueError, match="objective 'nce' is unknown; choose from"):
        make_loss("nce")
