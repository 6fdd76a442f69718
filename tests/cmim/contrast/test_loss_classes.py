"""The losses as classes: those of configs, for someone with two tensors."""

from __future__ import annotations

import inspect
import pickle
import warnings

import pytest
import torch

import cmim.contrast
from cmim.contrast import (
    BatchLabels,
    ContrastiveLoss,
    ContrastOptions,
    InfoNCE,
    available_losses,
    get_loss,
    loss_defaults,
)

CLASSES = {
    cls.__module__.rsplit(".", 1)[-1]: cls
    for cls in vars(cmim.contrast).values()
    if inspect.isclass(cls)
    and issubclass(cls, ContrastiveLoss)
    and cls is not ContrastiveLoss
}
LABELS = BatchLabels(
    classes=torch.tensor([0, 1, 0, 1]), indices=torch.tensor([0, 1, 2, 3])
)
WITH_LABELS = BatchLabels(torch.tensor([0, 1, 0, 1]).view(4, 1, 1))


def labels_for(name: str) -> BatchLabels | None:
    needed = {"crd": LABELS, "cmim_released": LABELS, "npid": LABELS}
    return {**needed, "sup_con": WITH_LABELS}.get(name)


def test_every_loss_is_a_class():
    assert set(CLASSES) == set(available_losses())
    assert len(CLASSES) == 17
    for cls in CLASSES.values():
        assert cls.__name__ in cmim.contrast.__all__


@pytest.mark.parametrize("name", CLASSES)
def test_help_says_formula_shapes_and_source(name):
    text = CLASSES[name].__doc__
    assert "(N, C, H, W)" in text
    assert "http" in text or "Gutmann" in text
    # The released code has the formula of CRD.
    assert "math" in text or ":func:" in text or "critic of CRD" in text


@pytest.mark.parametrize("name", CLASSES)
def test_it_is_the_loss_of_the_config(name):
    binary = torch.randn(4, 6, 8, 8).sign()
    partner = torch.randn(4, 6, 8, 8)
    shared = {k: v for k, v in loss_defaults(name).items() if k != "negatives"}
    torch.manual_seed(0)
    expected = get_loss(name)(6, 6, ContrastOptions(**shared))
    torch.manual_seed(0)
    loss = CLASSES[name](6)
    found = []
    for one in (expected, loss):
        torch.manual_seed(1)
        found.append(one(binary, partner, labels_for(name)))
    assert torch.equal(*found)
    state = {f"loss.{key}" for key in expected.state_dict()}
    assert set(loss.state_dict()) == state


def test_channels_are_those_of_the_first_call_or_given():
    loss = InfoNCE(projection=8)
    assert list(loss.parameters()) == []
    value = loss(torch.randn(4, 6), torch.randn(4, 3))
    value.backward()
    assert all(p.grad is not None for p in loss.parameters())
    assert loss.loss.project_partner.weight.shape == (8, 3)
    given = InfoNCE(6, 3, projection=8)
    given.load_state_dict(loss.state_dict())


# torch pickles no parametrized layer, which wcord has; it says so and names the way.
@pytest.mark.parametrize("name", [n for n in CLASSES if n != "wcord"])
@pytest.mark.parametrize("channels", [None, 6])
def test_it_is_pickled(name, channels):
    loss = CLASSES[name](channels)
    loss(torch.randn(4, 6, 2, 2), torch.randn(4, 6, 2, 2), labels_for(name))
    again = pickle.loads(pickle.dumps(loss))
    assert again.options == loss.options
    assert list(again.state_dict()) == list(loss.state_dict())


def test_a_first_call_has_mode_precision_and_gradients_of_the_caller():
    binary, partner = torch.randn(4, 6).double(), torch.randn(4, 6).double()
    loss = InfoNCE(queue=8).eval()
    with torch.inference_mode():
        assert loss(binary, partner).dtype == torch.float64
    assert not any(part.training for part in loss.modules())
    assert not loss.loss.queue.filled.any()
    loss(binary, partner).backward()
    low = InfoNCE()
    low(torch.randn(4, 6).bfloat16(), torch.randn(4, 6).bfloat16())
    assert {p.dtype for p in low.parameters()} == {torch.float32}


def test_parameters_that_an_optimizer_has_missed_are_warned_of():
    model = torch.nn.ModuleDict(dict(net=torch.nn.Linear(6, 6), loss=InfoNCE()))
    torch.optim.SGD(model.parameters(), lr=0.1)
    with pytest.warns(UserWarning, match="InfoNCE makes its .* channels=6") as said:
        model["loss"](model["net"](torch.randn(4, 6)), torch.randn(4, 6))
    assert said[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model["loss"](model["net"](torch.randn(4, 6)), torch.randn(4, 6))
        InfoNCE()(torch.randn(4, 6), torch.randn(4, 6))
        InfoNCE(6)(model["net"](torch.randn(4, 6)), torch.randn(4, 6))


@pytest.mark.parametrize(
    ("name", "labels", "said"),
    [
        ("crd", None, r"CRD is given no indices and no classes: .*classes=\.\.\.\)"),
        ("crd", BatchLabels(indices=LABELS.indices), "CRD is given no classes: call"),
        ("npid", BatchLabels(), "NPID is given no indices: .* where indices is .N,. "),
        ("sup_con", None, r"SupCon is given no exclude: .* or \(N, 1, 1\)"),
        ("sup_con", LABELS, "SupCon is given no exclude"),
    ],
)
def test_labels_that_are_missing_are_named_as_they_are_given(name, labels, said):
    with pytest.raises(ValueError, match=said) as error:
        CLASSES[name](6)(torch.randn(4, 6), torch.randn(4, 6), labels)
    assert "model." not in str(error.value)
    assert "sample_idx" not in str(error.value)


def test_at_image_level_classes_do_for_labels():
    loss = cmim.contrast.SupCon(6, level="image")
    by_class = BatchLabels(classes=LABELS.classes)
    assert loss(torch.randn(4, 6), torch.randn(4, 6), by_class).isfinite()


@pytest.mark.parametrize("inside", [False, True])
def test_a_state_finds_parameters_or_is_refused_in_a_sentence(inside):
    saved, fresh = torch.nn.Sequential(InfoNCE(6)), torch.nn.Sequential(InfoNCE())
    if not inside:
        saved, fresh = saved[0], fresh[0]
    with pytest.raises(ValueError, match=r"first call.*InfoNCE\(channels=...\)"):
        fresh.load_state_dict(saved.state_dict())
    untouched = InfoNCE()
    untouched.load_state_dict(InfoNCE().state_dict())
    untouched(torch.randn(4, 6), torch.randn(4, 6))
    untouched.load_state_dict(InfoNCE(6).state_dict())


def test_options_are_checked():
    with pytest.raises(ValueError, match="no option 'heat'"):
        InfoNCE(heat=1)
    with pytest.raises(ValueError, match="alpha must be in"):
        cmim.contrast.Interpolated(6, alpha=2.0)
    with pytest.raises(ValueError, match="does not use queue"):
        cmim.contrast.SimSiam(6, queue=9)


@pytest.mark.parametrize("name", [n for n in CLASSES if labels_for(n) is None])
def test_tokens_are_maps_in_rows(name):
    if name == "moco":
        pytest.skip("its first loss is 0")
    binary, partner = torch.randn(4, 6, 4, 4), torch.randn(4, 6, 4, 4)
    loss = CLASSES[name](6)
    found = []
    for x, y in ((binary, partner), (binary.flatten(2).mT, partner.flatten(2).mT)):
        again = CLASSES[name](6)
        again.load_state_dict(loss.state_dict())
        torch.manual_seed(0)
        found.append(again(x, y))
    assert torch.equal(*found)
