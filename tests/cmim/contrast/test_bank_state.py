"""What losses with banks keep over steps, and what they refuse."""

from __future__ import annotations

import copy

import pytest
import torch
from bank_cases import NAMES, ROWS, A, C, make_batch, make_loss

from cmim.contrast import BatchLabels, ContrastOptions, get_loss


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("shared", [True, False])
def test_a_resumed_loss_goes_on_in_the_same_bits(name, shared):
    loss, fresh = make_loss(name, shared), make_loss(name, shared)
    for step in range(3):
        loss(*make_batch(step))
    resumed = make_loss(name, shared)
    resumed(*make_batch(11))  # what it was before must not matter
    resumed.load_state_dict({k: v.clone() for k, v in loss.state_dict().items()})
    found = []
    for part in (loss, resumed, fresh):
        torch.manual_seed(5)
        steps = [make_batch(step) for step in (3, 4)]
        values = [part(*batch) for batch in steps]
        sum(values).backward()
        found.append([*(v.item() for v in values), steps[1][0].grad.tolist()])
    assert found[0] == found[1]
    assert found[0] != found[2]
    for key, value in loss.state_dict().items():
        torch.testing.assert_close(
            resumed.state_dict()[key], value, rtol=0, atol=0, equal_nan=True
        )


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("trained", [True, False])
def test_constants_are_those_of_the_state_that_was_loaded_last(name, trained):
    """A state without them sets them anew at the next step."""
    loss, source = make_loss(name), make_loss(name)
    loss(*make_batch(11))
    own = loss.log_normalizer.clone()
    if trained:
        source(*make_batch(3))
    loss.load_state_dict(copy.deepcopy(source.state_dict()))
    values = []
    for part in (loss, source):
        torch.manual_seed(5)
        values.append([part(*make_batch(step)).item() for step in (4, 5)])
    assert values[0] == values[1]
    found, expected = loss.log_normalizer, source.log_normalizer
    torch.testing.assert_close(found, expected, rtol=0, atol=0, equal_nan=True)
    assert found[0] != own[0]


@pytest.mark.parametrize("name", ["cmim_released", "crd"])
def test_images_of_unknown_class_leave_no_trace(name):
    """Their row does not move and the others' loss is as if they were not there."""
    loss, other = make_loss(name), make_loss(name)
    binary, partner, labels = make_batch()
    classes = labels.classes.clone()
    classes[2] = -1
    unknown = BatchLabels(indices=labels.indices, classes=classes)
    kept = torch.tensor([0, 1, 3, 4, 5])
    known = BatchLabels(indices=labels.indices[kept], classes=classes[kept])
    torch.manual_seed(1)
    value = loss(binary, partner, unknown)
    value.backward()
    torch.manual_seed(1)
    expected = other(binary[kept], partner[kept], known)
    torch.testing.assert_close(value, expected)
    assert (binary.grad[2] == 0).all()
    for key, tensor in other.state_dict().items():
        torch.testing.assert_close(loss.state_dict()[key], tensor)


@pytest.mark.parametrize("name", ["cmim_released", "crd"])
@pytest.mark.parametrize("shared", [True, False])
def test_a_batch_of_unknown_classes_gives_exactly_zero(name, shared):
    loss = make_loss(name, shared)
    binary, partner, labels = make_batch()
    nothing = BatchLabels(indices=labels.indices, classes=torch.full((A,), -1))
    value = loss(binary, partner, nothing)
    value.backward()
    assert value.item() == 0
    assert (binary.grad == 0).all()
    assert loss.log_normalizer.isnan().all()
    assert loss(*make_batch()).item() > 0  # the constants are set then


@pytest.mark.parametrize("shared", [True, False])
def test_without_another_class_there_are_no_negatives(shared):
    loss = make_loss("crd", shared)
    loss.row_classes.zero_()
    binary, partner, labels = make_batch()
    same = BatchLabels(indices=labels.indices, classes=torch.zeros(A, dtype=torch.long))
    value = loss(binary, partner, same)
    value.backward()
    assert value.item() == 0
    assert (binary.grad == 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_evaluation_changes_nothing(name):
    loss = make_loss(name).eval()
    before = {k: v.clone() for k, v in loss.state_dict().items()}
    assert loss(*make_batch()).isfinite()
    for key, value in loss.state_dict().items():
        torch.testing.assert_close(
            value, before[key], rtol=0, atol=0, equal_nan=True, msg=key
        )


def test_which_projections_learn():
    for name, learned in (("cmim_released", 0), ("crd", 4), ("npid", 2)):
        loss = make_loss(name)
        loss(*make_batch())
        value = loss(*make_batch(1))
        value.backward()
        grads = [p.grad for p in loss.parameters() if p.grad is not None]
        assert len(grads) == learned
        assert all(g.abs().sum() > 0 for g in grads)


def test_the_twin_s_direction_trains_nothing_as_released():
    """The gradient of the binary network is that of its own anchors alone."""
    loss = make_loss("cmim_released")
    binary, partner, labels = make_batch()
    loss(binary, partner, labels)
    binary, partner, labels = make_batch(1)
    gradients = []
    for constant in (5.0, 50.0):
        loss.log_normalizer[1] = constant
        binary.grad = None
        torch.manual_seed(0)
        part = loss.eval()(binary, partner, labels)
        part.backward()
        gradients.append(binary.grad.clone())
    assert torch.equal(*gradients)
    assert gradients[0].abs().sum() > 0


def test_crd_takes_any_other_image_where_there_are_no_classes():
    loss = make_loss("crd", other_class=False)
    binary, partner, labels = make_batch()
    assert loss(binary, partner, BatchLabels(indices=labels.indices)).item() > 0


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("place", [-1, ROWS])
def test_a_place_outside_the_bank_is_named(name, place):
    loss = make_loss(name)
    binary, partner, labels = make_batch()
    labels.indices[3] = place
    with pytest.raises(
        ValueError, match=rf"sample_idx {place} .* rows 0 to {ROWS - 1}"
    ):
        loss(binary, partner, labels)


def test_missing_labels_say_how_to_get_them():
    binary, partner, labels = make_batch()
    with pytest.raises(ValueError, match=r"'npid' needs the place .* sample_idx"):
        make_loss("npid")(binary, partner)
    with pytest.raises(ValueError, match=r"'crd' draws .* class an image \(gt_label\)"):
        make_loss("crd")(binary, partner, BatchLabels(indices=labels.indices))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (dict(level="pixel"), "its level is 'image' and not 'pixel' .model.level"),
        (dict(level="image", queue=5), "does not use queue"),
        (dict(level="image", gather=False), "does not use gather"),
    ],
)
def test_shared_options_that_do_not_fit_are_refused(options, said):
    with pytest.raises(ValueError, match=said):
        get_loss("npid")(C, C, ContrastOptions(**options))


def test_own_options_out_of_range_are_refused():
    options = ContrastOptions(level="image")
    with pytest.raises(ValueError, match="negatives must be at least 1, got 0"):
        get_loss(dict(name="crd", negatives=0))(C, C, options)
    with pytest.raises(ValueError, match="5 and 6 channels"):
        get_loss("npid")(5, 6, options)
