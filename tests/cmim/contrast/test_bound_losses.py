"""The losses by name, on feature maps, against loops over anchors and candidates."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cmim.contrast import BatchLabels, ContrastOptions, get_loss, layer_loss
from cmim.contrast.pair_loss import PairLoss
from cmim.contrast.pairs import IGNORED

N, C, PARTNER, H, W, P, D = 3, 4, 6, 5, 6, 5, 3
TEMPERATURE, SAMPLES, RATE, ALPHA = 0.5, 700.0, 0.2, 0.3

LOSSES: dict[str, str | dict] = {
    "donsker_varadhan": "donsker_varadhan",
    "info_nce": "info_nce",
    "interpolated": {"name": "interpolated", "alpha": ALPHA},
    "jensen_shannon": "jensen_shannon",
    "mine": {"name": "mine", "rate": RATE},
    "nce": {"name": "nce", "samples": SAMPLES},
    "nwj": "nwj",
    "tuba": "tuba",
}
each_loss = pytest.mark.parametrize("name", LOSSES)
with_labels = pytest.mark.parametrize("name", [n for n in LOSSES if n[:3] != "int"])


def make_loss(name: str, **options) -> PairLoss:
    torch.manual_seed(0)
    options = {
        "projection": D,
        "pixels": P,
        "temperature": TEMPERATURE,
        "chunk": 4,
        **options,
    }
    loss = get_loss(LOSSES[name])(C, PARTNER, ContrastOptions(**options)).double()
    for bound in (loss.bound, loss.bound_reverse):
        if hasattr(bound, "log_baseline"):
            torch.nn.init.normal_(bound.log_baseline.weight)
    return loss


def make_inputs(seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    binary = torch.randn(N, C, H, W, generator=generator, dtype=torch.float64)
    partner = torch.randn(N, PARTNER, H, W, generator=generator, dtype=torch.float64)
    return torch.where(binary < 0, -1.0, 1.0).double(), partner


def make_labels(seed: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(-1, 3, (N, H, W), generator=generator)


@pytest.fixture
def positions(monkeypatch) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    places = torch.rand(N, H * W, generator=generator).topk(P).indices
    monkeypatch.setattr(layer_loss, "sample_positions", lambda *_: places)
    return places


def project(layer: torch.nn.Linear, features: Tensor, positions: Tensor) -> list:
    vectors = []
    for image, places in zip(features, positions.tolist(), strict=True):
        for place in places:
            z = layer.weight @ image[:, place // W, place % W] + layer.bias
            vectors.append((z / z.norm()).tolist())
    return [list(map(float, v)) for v in vectors]


def score_of(a: list[float], b: list[float]) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True)) / TEMPERATURE


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def naive_anchor(name: str, positive: float, negatives: list, extra: dict) -> float:
    """Loss of one anchor that has negatives."""
    exps = list(map(math.exp, negatives))
    mean = sum(exps) / len(exps)
    if name == "info_nce":
        return -math.log(math.exp(positive) / (math.exp(positive) + sum(exps)))
    if name == "nce":
        ratio = extra["candidates"] / SAMPLES
        own = math.exp(positive) / (math.exp(positive) + ratio)
        return -math.log(own) - sum(math.log(ratio / (e + ratio)) for e in exps)
    if name == "nwj":
        return mean / math.e - positive
    if name == "tuba":
        baseline = math.exp(extra["log_baseline"])
        return mean / baseline - 1 - positive + math.log(baseline)
    if name == "jensen_shannon":
        return softplus(-positive) + sum(map(softplus, negatives)) / len(negatives)
    return math.log(extra["mean_of_all"]) - positive  # DV, and the value of MINE


def naive_direction(name, bound, anchors, candidates, labels, others, places) -> float:
    """Mean over anchors of known label; candidate i is the positive of anchor i."""
    rows = []
    for i, anchor in enumerate(anchors):
        rows.append([])
        for j, candidate in enumerate(candidates):
            if labels is not None:
                same = labels[i] == others[j]
                if same or IGNORED in (labels[i], others[j]):
                    continue
            if j != i:
                rows[i].append(score_of(anchor, candidate))
    everything = [math.exp(s) for row in rows for s in row]
    total = 0.0
    for i, (anchor, negatives) in enumerate(zip(anchors, rows, strict=True)):
        if not negatives:
            continue
        extra = dict(
            candidates=places - 1,
            mean_of_all=sum(everything) / len(everything),
        )
        if name == "tuba":
            baseline = bound.log_baseline
            own = torch.tensor(anchor, dtype=torch.float64)
            extra["log_baseline"] = float(baseline.weight[0] @ own + baseline.bias)
        total += naive_anchor(name, score_of(anchor, candidates[i]), negatives, extra)
    known = sum(label != IGNORED for label in labels) if labels else len(anchors)
    return total / known


def naive_interpolated(bound, anchors, candidates) -> float:
    s = [[score_of(a, c) for c in candidates] for a in anchors]
    size, total = len(s), 0.0
    layer = bound.log_baseline
    z = torch.tensor(anchors, dtype=torch.float64)
    log_a = (z @ layer.weight[0] + layer.bias).tolist()

    def q(i: int, held_out: int) -> float:
        others = [math.exp(s[i][k]) for k in range(size) if k != held_out]
        mean = sum(others) / len(others)
        return ALPHA * mean + (1 - ALPHA) * math.exp(log_a[i])

    for i in range(size):
        for j in range(size):
            if i != j:
                total += s[i][i] - math.log(q(i, j)) - math.exp(s[i][j]) / q(i, i)
    return -1 - total / (size * (size - 1))


@torch.no_grad()
def naive_loss(name, loss, features, positions, labels=None, past=((), ())) -> float:
    binary = project(loss.project_binary, features[0], positions)
    partner = project(loss.project_partner, features[1], positions)
    if name == "interpolated":
        forward = naive_interpolated(loss.bound, binary, partner)
        backward = naive_interpolated(loss.bound_reverse, partner, binary)
        return (forward + backward) / 2
    picked = None
    if labels is not None:
        picked = labels.flatten(1).gather(1, positions).flatten().tolist()
    candidates = partner + list(past[0])
    others = None if picked is None else picked + list(past[1])
    # N of NCE is a constant: the queue counts before it is full.
    places = len(partner) + loss.options.queue
    both = (loss.bound, binary, candidates, picked, others, places)
    forward = naive_direction(name, *both)
    both = (loss.bound_reverse, partner, binary, picked, picked, len(binary))
    return (forward + naive_direction(name, *both)) / 2


@each_loss
def test_equals_the_loops(name, positions):
    loss, features = make_loss(name), make_inputs()
    expected = naive_loss(name, loss, features, positions)
    assert loss(*features).item() == pytest.approx(expected, rel=1e-9)


@with_labels
@pytest.mark.parametrize("queue", [0, 7, 40])
def test_equals_the_loops_with_labels_and_queue(name, queue, positions):
    loss, rows, kept = make_loss(name, queue=queue), [], []
    for step in range(3):
        features, labels = make_inputs(step), make_labels(step)
        expected = naive_loss(name, loss, features, positions, labels, (rows, kept))
        value = loss(*features, BatchLabels(exclude=labels))
        value.backward()  # the queue has moved on in place
        assert value.item() == pytest.approx(expected, rel=1e-9)
        if queue:
            new = project(loss.project_partner, features[1], positions)
            rows = (rows + new)[-queue:]
            picked = labels.flatten(1).gather(1, positions).flatten().tolist()
            kept = (kept + picked)[-queue:]


@with_labels
@pytest.mark.parametrize("queue", [0, 20])
def test_without_known_labels_value_and_gradients_are_exactly_zero(name, queue):
    loss = make_loss(name, queue=queue, stop_gradient=False)
    binary, partner = (x.requires_grad_() for x in make_inputs())
    for _ in range(3):
        value = loss(binary, partner, BatchLabels(exclude=torch.full((N, H, W), -1)))
        value.backward()
        assert value.item() == 0
    for tensor in (binary, partner, *loss.parameters()):
        assert (tensor.grad == 0).all()


@with_labels
def test_a_batch_of_one_label_has_no_negatives_and_is_zero(name):
    loss, (binary, partner) = make_loss(name), make_inputs()
    binary.requires_grad_()
    value = loss(binary, partner, BatchLabels(exclude=torch.ones(N, H, W).long()))
    value.backward()
    assert value.item() == 0
    assert (binary.grad == 0).all()


@with_labels
def test_unknown_samples_contribute_nothing(name, positions):
    """The features of unlabelled places change neither value nor other gradients."""
    labels, results = make_labels(), []
    unknown = (labels == IGNORED)[:, None]
    assert unknown.flatten(1).gather(1, positions).any()
    for noise in (0.0, 5.0):
        loss, (binary, partner) = make_loss(name), make_inputs()
        binary = (binary + noise * unknown).requires_grad_()
        value = loss(binary, partner, BatchLabels(exclude=labels))
        value.backward()
        assert (binary.grad[unknown.expand_as(binary)] == 0).all()
        results.append((value.detach(), binary.grad))
    torch.testing.assert_close(results[0], results[1])


@each_loss
def test_one_pixel_is_zero_and_every_parameter_has_a_gradient(name):
    """Distributed training waits for a gradient of each parameter."""
    loss = make_loss(name, pixels=1)
    features = (x[:1] for x in make_inputs())
    value = loss(*features)
    value.backward()
    assert value.item() == 0
    for parameter in loss.parameters():
        assert (parameter.grad == 0).all()


@each_loss
def test_training_raises_the_bound_and_every_parameter_learns(name, positions):
    loss, features = make_loss(name), make_inputs()
    optimizer = torch.optim.Adam(loss.parameters(), lr=0.03)
    values = []
    for _ in range(40):
        value = loss(*features)
        optimizer.zero_grad()
        value.backward()
        for label, parameter in loss.named_parameters():
            assert parameter.grad.abs().sum() > 0, label
        optimizer.step()
        values.append(value.item())
    assert values[-1] < values[0] - 0.1


@each_loss
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_low_precision_features(name, dtype, positions):
    loss, (binary, partner) = make_loss(name), make_inputs()
    partner = partner.to(dtype)
    exact = loss(binary, partner.double()).item()
    loss = make_loss(name).float()
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16):
        value = loss(binary.to(dtype), partner)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(exact, rel=1e-4)


def test_nce_starts_from_m_and_n():
    """Eq. 5 by hand: two orthogonal pixels of a kind, tau 1, one negative, M = 2."""
    options = ContrastOptions(projection=2, pixels=2, temperature=1.0)
    loss = get_loss({"name": "nce", "samples": 2.0})(2, 2, options)
    for layer in (loss.project_binary, loss.project_partner):
        torch.nn.init.eye_(layer.weight)
        torch.nn.init.zeros_(layer.bias)
    features = torch.tensor([[[[3.0, 0.0]], [[0.0, 5.0]]]])
    positive, negative = math.e / (math.e + 0.5), 1 / (1 + 0.5)
    expected = -math.log(positive) - math.log(1 - negative)
    assert loss(features, features).item() == pytest.approx(expected)


def test_tuba_starts_as_nwj(positions):
    options = ContrastOptions(projection=D, pixels=P, temperature=TEMPERATURE)
    values = []
    for name in ("tuba", "nwj"):
        torch.manual_seed(0)
        loss = get_loss(name)(C, PARTNER, options).double()
        values.append(loss(*make_inputs()).item())
    assert values[0] == pytest.approx(values[1], rel=1e-12)


def bound_and_scores(name: str, positions: Tensor, seed: int = 1):
    loss, features = make_loss(name), make_inputs(seed)
    binary = loss.project_binary.at(features[0], positions)
    partner = loss.project_partner.at(features[1], positions)
    return loss.bound, loss.scores(binary, partner, None)[0]


def matrix_of(scores) -> Tensor:
    return scores.anchors @ scores.candidates[0].vectors.T / TEMPERATURE


def off_diagonal(matrix: Tensor) -> Tensor:
    return matrix[~torch.eye(len(matrix), dtype=torch.bool)]


def test_estimates_read_the_information(positions):
    bound, scores = bound_and_scores("info_nce", positions)
    s = matrix_of(scores)
    expected = math.log(len(s)) - F.cross_entropy(s, torch.arange(len(s)))
    torch.testing.assert_close(bound.estimate(scores), expected)
    bound, scores = bound_and_scores("jensen_shannon", positions)
    s = matrix_of(scores)
    expected = 1 + s.diagonal().mean() - off_diagonal(s).exp().mean()
    torch.testing.assert_close(bound.estimate(scores), expected)
    bound, scores = bound_and_scores("nwj", positions)
    s = matrix_of(scores)
    expected = s.diagonal().mean() - off_diagonal(s - 1).exp().mean()
    torch.testing.assert_close(bound.estimate(scores), expected)
    bound, scores = bound_and_scores("donsker_varadhan", positions)
    s = matrix_of(scores)
    expected = s.diagonal().mean() - off_diagonal(s).exp().mean().log()
    torch.testing.assert_close(bound.estimate(scores), expected)
    bound, scores = bound_and_scores("nce", positions)
    expected = math.log(len(matrix_of(scores)) - 1) - bound(scores).mean()
    torch.testing.assert_close(bound.estimate(scores), expected)


@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_interpolated_ends_in_tuba_and_in_the_leave_one_out_form(alpha, positions):
    bound, scores = bound_and_scores("interpolated", positions)
    bound.alpha = alpha
    s, size = matrix_of(scores), N * P
    log_a = bound.log_baseline(scores.anchors)
    if alpha == 0:
        expected = 1 + (s.diagonal()[:, None] - log_a).mean()
        expected = expected - off_diagonal((s - log_a).exp()).mean()
    else:
        exps = s.exp()
        without = (exps.sum(1, keepdim=True) - exps) / (size - 1)
        ratios = s.diagonal()[:, None] - without.log()
        # Each row's mean of e^s over the mean without its own is 1.
        expected = off_diagonal(ratios).mean()
    torch.testing.assert_close(bound.estimate(scores), expected)


def test_interpolated_refuses_labels_and_queue():
    message = "set negatives='all' and queue=0"
    with pytest.raises(ValueError, match=message):
        make_loss("interpolated", queue=5)(*make_inputs())
    with pytest.raises(ValueError, match=message):
        make_loss("interpolated")(*make_inputs(), BatchLabels(exclude=make_labels()))


def test_mine_averages_over_steps_and_its_gradient_divides_by_the_average(positions):
    """First step: the batch's own mean, as DV. Then RATE of the new and the rest."""
    average = None
    bound = make_loss("mine").bound
    for step in range(4):
        _, scores = bound_and_scores("mine", positions, step)
        mean = off_diagonal(matrix_of(scores)).exp().mean()
        average = mean if average is None else (1 - RATE) * average + RATE * mean
        matrix = matrix_of(scores).detach().requires_grad_()
        wanted = off_diagonal(matrix).exp().mean() / average.detach()
        wanted = (wanted - matrix.diagonal().mean()).backward() or matrix.grad
        scores.anchors.retain_grad()
        value = bound(scores).mean()
        value.backward()
        torch.testing.assert_close(bound.log_average.exp(), average.detach())
        expected = mean.log() - matrix_of(scores).diagonal().mean()
        torch.testing.assert_close(value, expected)
        ours = scores.anchors.grad
        theirs = wanted @ scores.candidates[0].vectors / TEMPERATURE
        torch.testing.assert_close(ours, theirs)


def test_mine_keeps_its_average_in_checkpoints_and_in_evaluation(positions):
    loss = make_loss("mine")
    loss(*make_inputs())
    state = {k: v.clone() for k, v in loss.state_dict().items()}
    assert {"bound.log_average", "bound_reverse.log_average"} <= set(state)
    assert state["bound.log_average"].isfinite()
    loss.eval()(*make_inputs(5))
    assert loss.bound.log_average == state["bound.log_average"]
    resumed = make_loss("mine")
    resumed.load_state_dict(state)
    for part in (loss.train(), resumed):
        part(*make_inputs(6))
    assert loss.bound.log_average == resumed.bound.log_average
    assert loss.bound.log_average != state["bound.log_average"]


def test_mine_passes_over_batches_without_negatives(positions):
    loss, nothing = make_loss("mine"), BatchLabels(exclude=torch.full((N, H, W), -1))
    loss(*make_inputs(), nothing)
    assert loss.bound.log_average.isnan()
    loss(*make_inputs())
    before = loss.bound.log_average.clone()
    loss(*make_inputs(), nothing)
    assert loss.bound.log_average == before


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        ({"name": "mine", "rate": 0.0}, r"rate must be in \(0, 1\], got 0.0"),
        ({"name": "mine", "rate": 1.5}, r"rate must be in \(0, 1\], got 1.5"),
        ({"name": "nce", "samples": 0}, "samples must be positive, got 0"),
        ({"name": "interpolated", "alpha": 2}, r"alpha must be in \[0, 1\], got 2"),
    ],
    ids=str,
)
def test_options_out_of_range(loss, message):
    with pytest.raises(ValueError, match=message):
        get_loss(loss)(C, PARTNER, ContrastOptions())
