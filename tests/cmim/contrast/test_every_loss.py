"""What every contrastive loss promises, whoever wrote it."""

from __future__ import annotations

import copy

import pytest
import torch
from loss_cases import (
    OTHER,
    C,
    H,
    N,
    build,
    every_loss,
    labels_for,
    labels_matter,
    make_inputs,
    shared_defaults,
    takes_labels,
    used_by,
    value_of,
)

from cmim.contrast import BatchLabels, ContrastOptions, get_loss


@every_loss
def test_value_and_gradients_are_finite(name):
    loss, (binary, partner) = build(name), make_inputs()
    value_of(loss, make_inputs(2), labels_for(name))  # a queue is empty at first
    binary.requires_grad_()
    value = value_of(loss, (binary, partner), labels_for(name))
    value.backward()
    assert value.shape == ()
    assert value.isfinite()
    assert binary.grad.isfinite().all()
    assert binary.grad.abs().sum() > 0
    grads = [p.grad for p in loss.parameters() if p.grad is not None]
    assert all(grad.isfinite().all() for grad in grads)


@every_loss
def test_every_parameter_that_learns_gets_a_gradient(name):
    """Or distributed training waits for it for ever."""
    loss, (binary, partner) = build(name), make_inputs()
    value_of(loss, (binary.requires_grad_(), partner), labels_for(name)).backward()
    assert not [
        n for n, p in loss.named_parameters() if p.requires_grad and p.grad is None
    ]


EXTREMES = (
    {"name": "interpolated", "alpha": 0.0}, {"name": "interpolated", "alpha": 1.0},
    {"name": "dim", "alpha": 0.0}, {"name": "dim", "beta": 0.0},
    {"name": "dim", "gamma": 0.0}, {"name": "nce", "normalise": False},
    {"name": "sup_con", "views": "both"}, {"name": "mine", "rate": 1.0},
)  # fmt: skip


@pytest.mark.parametrize("entry", EXTREMES, ids=str)
def test_nor_does_an_extreme_option_leave_one_out(entry):
    binary, partner = make_inputs()
    options = shared_defaults(entry["name"])
    loss = get_loss(entry)(C, C, ContrastOptions(**options))
    loss(binary.requires_grad_(), partner, labels_for(entry["name"])).backward()
    missing = [n for n, p in loss.named_parameters() if p.grad is None]
    assert not missing


@every_loss
def test_the_seed_decides(name):
    values = [
        value_of(build(name), make_inputs(), labels_for(name), seed).item()
        for seed in (5, 5)
    ]
    assert values[0] == values[1]


@every_loss
@pytest.mark.parametrize("autocast", [False, True])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64], ids=str)
def test_other_precisions_of_features_give_a_float32_loss(name, dtype, autocast):
    binary, partner = make_inputs(dtype=dtype)
    labels = labels_for(name)
    expected = value_of(build(name), (binary.float(), partner.float()), labels)
    binary.requires_grad_()
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        value = value_of(build(name), (binary, partner), labels)
    value.backward()
    assert value.dtype == torch.float32
    assert binary.grad.dtype == dtype
    assert binary.grad.isfinite().all()
    # bfloat16 itself has 3 digits: what is left is where features are averaged.
    assert value.item() == pytest.approx(expected.item(), rel=2e-3, abs=2e-3)


@every_loss
def test_float64_says_the_same(name):
    expected = value_of(build(name), make_inputs(), labels_for(name))
    wide = build(name).double()
    value = value_of(wide, make_inputs(dtype=torch.float64), labels_for(name))
    assert value.dtype == torch.float64
    if name != "dim":  # its noise is drawn in the dtype of the features
        assert value.item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-5)


@every_loss
@pytest.mark.parametrize("trained", [True, False])
def test_saved_state_gives_the_same_next_values(name, trained):
    loss, labels = build(name), labels_for(name)
    if trained:
        value_of(loss, make_inputs(2), labels)
    state = copy.deepcopy(loss.state_dict())
    resumed = build(name, seed=99)
    value_of(resumed, make_inputs(5), labels)  # what it was before must not matter
    resumed.load_state_dict(state)
    for seed in (3, 4):
        values = [value_of(x, make_inputs(seed), labels) for x in (loss, resumed)]
        assert values[0].item() == values[1].item()


@every_loss
def test_evaluation_changes_no_state(name):
    # What refuses labels needs every candidate, and may refuse a queue for it.
    loss = build(name, queue=6 if takes_labels(name) else 0)
    value_of(loss, make_inputs(2), labels_for(name))
    loss.eval()
    before = copy.deepcopy(loss.state_dict())
    first = value_of(loss, make_inputs(3), labels_for(name))
    second = value_of(loss, make_inputs(3), labels_for(name))
    assert first.item() == second.item()
    for key, tensor in loss.state_dict().items():
        torch.testing.assert_close(tensor, before[key], rtol=0, atol=0, equal_nan=True)


@every_loss
def test_unknown_labels_only(name):
    """Nothing is learned where labels decide; nothing breaks where they do not."""
    loss, (binary, partner) = build(name), make_inputs()
    binary.requires_grad_()
    value = value_of(loss, (binary, partner), labels_for(name, unknown=True))
    value.backward()
    assert value.isfinite()
    assert binary.grad.isfinite().all()
    if labels_matter(name):
        assert value.item() == 0
        assert (binary.grad == 0).all()
        grads = [p.grad for p in loss.parameters() if p.grad is not None]
        assert all((grad == 0).all() for grad in grads)
    # What it remembers of such a batch must not spoil the next.
    assert value_of(loss, make_inputs(2), labels_for(name)).isfinite()


@every_loss
@pytest.mark.parametrize("option", sorted(OTHER))
def test_options_it_does_not_use_are_refused_by_name(name, option):
    options = ContrastOptions(**{**shared_defaults(name), option: OTHER[option]})
    if option in used_by(name):
        get_loss(name)(C, C, options)
    else:
        with pytest.raises(ValueError, match=f"{name!r} does not use {option}"):
            get_loss(name)(C, C, options)


@every_loss
def test_image_level_works_where_it_is_accepted(name):
    if "level" not in used_by(name):
        pytest.skip("refused, as tested above")
    loss, (binary, partner) = build(name, level="image"), make_inputs()
    binary.requires_grad_()
    classes = torch.arange(N) % 2
    exclude = classes.view(-1, 1, 1) if takes_labels(name) else None
    labels = BatchLabels(exclude, None, classes, torch.arange(N))
    value = value_of(loss, (binary, partner), labels)
    value.backward()
    assert value.isfinite()
    assert binary.grad.isfinite().all()


@every_loss
@pytest.mark.parametrize(("images", "size"), [(1, H), (N, 1), (1, 1)], ids=str)
def test_a_single_image_or_pixel_does_not_crash(name, images, size):
    loss = build(name)
    binary, partner = make_inputs(images=images, size=size)
    binary.requires_grad_()
    value = value_of(loss, (binary, partner), labels_for(name, images=images))
    value.backward()
    assert value.isfinite()
    assert binary.grad.isfinite().all()
    grads = [p.grad for p in loss.parameters() if p.grad is not None]
    assert all(grad.isfinite().all() for grad in grads)


@pytest.mark.parametrize("entry", ["infonce", ["nce"], None], ids=str)
def test_what_is_no_name_is_answered_with_the_names(entry):
    with pytest.raises(ValueError, match=r"is unknown; choose from .*, nce, "):
        get_loss(entry)
