"""Task weights: formulas by loop, learning, epochs, resumption, partial batches."""

import math

import pytest
import torch

from tasks.multitask import DynamicWeights, FixedWeights, UncertaintyWeights
from tasks.multitask.weighting import make_weighting
from tasks.multitask.weighting.dynamic import dynamic_weights
from tasks.multitask.weighting.uncertainty import uncertainty_terms

TASKS = ("seg", "depth", "normals")


def tensors(*values: float) -> list[torch.Tensor]:
    return [torch.tensor(value) for value in values]


def test_fixed_weights_are_those_of_the_config():
    weights, added = FixedWeights(TASKS, dict(normals=5))(tensors(1, 1, 1), [True] * 3)
    assert tuple(weights) == (1.0, 1.0, 5.0)
    assert not added
    with pytest.raises(ValueError, match="'edges', but the tasks are seg, depth"):
        FixedWeights(TASKS, dict(edges=1))
    with pytest.raises(ValueError, match="must not be negative"):
        FixedWeights(TASKS, dict(seg=-1))


def test_uncertainty_in_standard_deviations():
    """The paper's form: 1 / (2 sigma^2) or 1 / sigma^2, and log sigma."""
    sigmas = [0.5, 1.0, 3.0]
    regression = torch.tensor([False, True, True])
    log_variances = torch.tensor([2 * math.log(s) for s in sigmas])
    factors, added = uncertainty_terms(log_variances, regression)
    for k, sigma in enumerate(sigmas):
        scale = 2 if regression[k] else 1
        assert factors[k].item() == pytest.approx(1 / (scale * sigma**2))
        assert added[k].item() == pytest.approx(math.log(sigma))


def test_learned_variances_settle_where_the_losses_are():
    """The minimum of L e^-s / 2 + s / 2 is at e^s = L; without the half at 2 L."""
    weighting = UncertaintyWeights(TASKS)
    optimizer = torch.optim.SGD(weighting.parameters(), lr=0.5)
    losses = tensors(0.7, 0.2, 3.0)
    for _ in range(300):
        weights, added = weighting(losses, [True] * 3)
        total = sum(w * x for w, x in zip(weights, losses, strict=True))
        optimizer.zero_grad()
        (total + added["weighting.loss_uncertainty"]).backward()
        optimizer.step()
    settled = weighting.log_variances.exp().tolist()
    assert settled == pytest.approx([1.4, 0.2, 3.0], rel=1e-3)
    assert list(weighting.state_dict()) == ["log_variances"]


def test_absent_task_leaves_its_variance_alone():
    weighting = UncertaintyWeights(TASKS)
    losses = tensors(1.0, 0.0, 1.0)
    weights, added = weighting(losses, [True, False, True])
    total = sum(w * x for w, x in zip(weights, losses, strict=True))
    (total + added["weighting.loss_uncertainty"]).backward()
    gradient = weighting.log_variances.grad
    assert gradient[1] == 0
    assert gradient[0] != 0


def naive_dynamic(last, before, temperature):
    ratios = [a / b for a, b in zip(last, before, strict=True)]
    exponentials = [math.exp(r / temperature) for r in ratios]
    return [len(last) * e / sum(exponentials) for e in exponentials]


def test_dynamic_weights_by_loop_and_their_limits():
    last, before = [0.4, 2.0, 1.0], [0.8, 2.5, 0.5]
    found = dynamic_weights(torch.tensor(last), torch.tensor(before), 2.0)
    assert found.tolist() == pytest.approx(naive_dynamic(last, before, 2.0))
    # Units of a loss do not matter, and nothing known means equal weights.
    scaled = dynamic_weights(torch.tensor(last) * 7, torch.tensor(before) * 7, 2.0)
    assert torch.allclose(found, scaled)
    assert torch.equal(
        dynamic_weights(torch.zeros(3), torch.ones(3), 2.0), torch.ones(3)
    )
    half = dynamic_weights(*(torch.tensor(x).bfloat16() for x in (last, before)), 2.0)
    assert torch.allclose(half.float(), found, atol=0.02)


def history_of(steps: int, period: int = 3) -> tuple[DynamicWeights, list]:
    weighting = DynamicWeights(TASKS, steps_per_epoch=period)
    seen = []
    for step in range(steps):
        losses = [1.0 / (step + 1), 1.0, 2.0 + step]
        weights, _ = weighting(tensors(*losses), [True] * 3)
        seen.append([w.item() for w in weights])
    return weighting, seen


def test_weights_follow_the_means_of_the_last_two_epochs():
    _, seen = history_of(8)
    assert seen[:6] == [[1.0, 1.0, 1.0]] * 6
    first = [(1 + 1 / 2 + 1 / 3) / 3, 1.0, 3.0]
    second = [(1 / 4 + 1 / 5 + 1 / 6) / 3, 1.0, 6.0]
    expected = naive_dynamic(second, first, 2.0)
    assert seen[6] == pytest.approx(expected)
    assert seen[7] == pytest.approx(expected)


def test_a_resumed_run_has_the_same_weights():
    _, whole = history_of(11)
    stopped, _ = history_of(7)
    resumed = DynamicWeights(TASKS, steps_per_epoch=3)
    resumed.load_state_dict(stopped.state_dict())
    for step in range(7, 11):
        losses = [1.0 / (step + 1), 1.0, 2.0 + step]
        weights, _ = resumed(tensors(*losses), [True] * 3)
        assert [w.item() for w in weights] == whole[step]


def test_steps_without_ground_truth_do_not_count():
    weighting = DynamicWeights(TASKS, steps_per_epoch=2)
    weighting(tensors(1.0, 4.0, 1.0), [True] * 3)
    weighting(tensors(3.0, 0.0, 1.0), [True, False, True])
    assert weighting.history[0].tolist() == [2.0, 4.0, 1.0]
    # A whole epoch without one: the last mean stays.
    for _ in range(2):
        weighting(tensors(1.0, 0.0, 1.0), [True, False, True])
    assert weighting.history[0].tolist() == [1.0, 4.0, 1.0]


def test_evaluation_records_nothing():
    weighting, _ = history_of(4)
    before = {k: v.clone() for k, v in weighting.state_dict().items()}
    weighting.eval()(tensors(9, 9, 9), [True] * 3)
    for name, value in weighting.state_dict().items():
        assert torch.equal(value, before[name])


def test_wrong_options_are_named():
    with pytest.raises(ValueError, match="at least 1"):
        DynamicWeights(TASKS, steps_per_epoch=0)
    with pytest.raises(ValueError, match="temperature positive"):
        DynamicWeights(TASKS, steps_per_epoch=1, temperature=0)


@pytest.mark.parametrize("place", [0, 1])
def test_a_loss_that_is_no_number_is_not_hidden(place):
    losses = [torch.tensor([1.0, 1.0]), torch.tensor([1.0, 1.0])]
    losses[place][0] = torch.nan
    assert dynamic_weights(*losses, 2.0).isnan().any()


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
@pytest.mark.parametrize("other", [0.0, 1.0])
@pytest.mark.parametrize("turned", [False, True])
def test_no_other_epoch_hides_a_loss_that_is_not_finite(number, other, turned):
    epochs = [torch.tensor([number, 1.0]), torch.tensor([other, 1.0])]
    weights = dynamic_weights(*(epochs[::-1] if turned else epochs), temperature=2.0)
    assert weights.isnan().all()


@pytest.mark.parametrize(
    "entry",
    [
        "uncertainty",
        dict(name="uncertainty"),
        "UncertaintyWeights",
        dict(type="UncertaintyWeights"),
        dict(type=UncertaintyWeights),
    ],
)
def test_a_name_and_a_registered_class_say_the_same(entry):
    made = make_weighting(entry, TASKS)
    assert type(made) is UncertaintyWeights
    assert made.tasks == tuple(TASKS)


def test_unknown_names_and_options_are_refused():
    with pytest.raises(ValueError, match="choose from dynamic, fixed, uncertainty"):
        make_weighting("by_hand", TASKS)
    with pytest.raises(ValueError, match=r"'fixed' has no option 'weight'; it accept"):
        make_weighting(dict(name="fixed", weight=1), TASKS)
