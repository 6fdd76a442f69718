"""Converted networks: equal with ``fp``, trained by every method, untouched besides."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from convert_cases import Chain, Small, outcome, pictures
from torch import nn

from cmim.convert import ConvertedLayer, convert, place_converted, unplaced
from cmim.layers import BinaryWeightLayer
from cmim.methods import available_methods, get_method

X = pictures(4, 3, 17, 20)
METHODS = [name for name in available_methods() if get_method(name).is_binary]
# Its output scale has a form for plain convolutions alone.
UNGROUPED = [name for name in METHODS if get_method(name).output_scale is not None]


def small(seed: int = 0, **options) -> Small:
    torch.manual_seed(seed)
    return Small(**options)


def state_of(network: nn.Module) -> dict[str, torch.Tensor]:
    return copy.deepcopy(network.state_dict())


def equal_states(ours, theirs) -> bool:
    return list(ours) == list(theirs) and all(
        torch.equal(value, theirs[key]) for key, value in ours.items()
    )


@pytest.mark.parametrize("mode", [True, False])
@pytest.mark.parametrize("inplace", [True, False])
def test_fp_is_the_network_itself_and_a_copy(mode, inplace):
    network = small(inplace=inplace).train(mode)
    same, rows = convert(network, "fp", pictures=X)
    assert equal_states(same.state_dict(), network.state_dict())
    assert {row.became for row in rows} == {""}
    assert torch.equal(same(X), network(X))
    assert not {p.data_ptr() for p in same.parameters()} & {
        p.data_ptr() for p in network.parameters()
    }


@pytest.mark.parametrize("method", METHODS)
def test_every_method_trains_a_step(method):
    keep = ["grouped"] if method in UNGROUPED else []
    binary, rows = convert(small(), method, keep=keep, pictures=X)
    became = {row.name for row in rows if row.became}
    assert became == {"conv", "grouped", "hidden"} - set(keep)
    out = binary.train()(X)
    assert out.isfinite().all()
    out.square().sum().backward()
    for key, parameter in binary.named_parameters():
        assert parameter.grad is not None, key
        assert parameter.grad.isfinite().all(), key
    latent = {n: m for n, m in binary.named_modules() if isinstance(m, ConvertedLayer)}
    assert all(m.conv.weight.grad.abs().sum() > 0 for m in latent.values())
    torch.optim.SGD(binary.parameters(), 0.01).step()
    assert binary.eval()(X).isfinite().all()


@pytest.mark.parametrize("method", UNGROUPED)
def test_a_layer_that_a_method_has_no_form_of_is_named(method):
    with pytest.raises(ValueError, match=r"'grouped': method '.*keep="):
        convert(small(), method)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
@pytest.mark.parametrize("method", ["reactnet", "dorefa", "abc_net", "hwgq"])
def test_networks_of_other_types(method, dtype):
    network, x = small().to(dtype), X.to(dtype)
    binary, _ = convert(network, method, pictures=x)
    out = binary(x)
    out.sum().backward()
    assert out.dtype == dtype
    assert out.isfinite().all()
    assert {p.dtype for p in binary.parameters()} == {dtype}
    assert {p.grad.dtype for p in binary.parameters()} == {dtype}


@pytest.mark.parametrize("method", ["bireal", "dorefa", "fp"])
def test_the_network_its_modes_and_random_numbers_stay(method):
    network = small().train()
    network.norm.eval()
    before, modes = state_of(network), [m.training for m in network.modules()]
    binary, _ = convert(network, method)
    random = torch.get_rng_state()
    place_converted(binary, lambda: binary(X))
    assert torch.equal(random, torch.get_rng_state())
    assert equal_states(network.state_dict(), before)
    assert [m.training for m in network.modules()] == modes
    assert binary.training
    assert not binary.norm.training
    statistics = [k for k in before if k.startswith("norm.")]
    assert all(torch.equal(binary.state_dict()[k], before[k]) for k in statistics)


def test_spectral_norm_in_training_mode_is_not_moved_by_looking():
    torch.manual_seed(0)
    network = Chain().train()
    nn.utils.parametrizations.spectral_norm(network[2])
    before = state_of(network)
    binary, rows = convert(network, "bireal", pictures=X)
    assert equal_states(network.state_dict(), before)
    assert outcome(rows)["2"] == "BinaryConv2d"
    assert torch.equal(binary[2].conv.weight, network.eval()[2].weight)


@pytest.mark.parametrize("wrap", ["weight_norm", "parametrizations.weight_norm"])
def test_weight_norm_gives_its_weights(wrap):
    network, function = Chain(), nn.utils
    for part in wrap.split("."):
        function = getattr(function, part)
    function(network[2])
    binary, rows = convert(network, "bireal", keep=["4"], pictures=X)
    assert outcome(rows)["2"] == "BinaryConv2d"
    torch.testing.assert_close(binary[2].conv.weight.data, network[2].weight.data)
    assert torch.equal(convert(network, "fp")[0](X), network(X))


class Twice(nn.Module):
    """One layer under two names, called at two places."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.first = nn.Conv2d(8, 8, 3, padding=1)
        self.second = self.first
        self.head = nn.Conv2d(8, 2, 1)

    def forward(self, x):
        return self.head(3 + 2 * self.second(self.first(self.stem(x))))


def test_a_layer_under_two_names_is_one_binary_layer():
    binary, rows = convert(Twice(), "bireal", pictures=X)
    assert isinstance(binary.first, ConvertedLayer)
    assert binary.second is binary.first
    assert outcome(rows)["first"] == "BinaryConv2d"


def test_a_network_that_is_one_layer():
    binary, _ = convert(nn.Conv2d(3, 4, 3), "bireal", binarize="*", pictures=X)
    assert isinstance(binary, ConvertedLayer)
    assert binary(X).shape == (4, 4, 15, 18)


@pytest.mark.parametrize("stacked", [False, True])
def test_torchs_transformer_layers_run_in_evaluation(stacked):
    """In evaluation torch reads the weights of their linear layers without a call."""
    torch.manual_seed(0)
    part: nn.Module = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
    if stacked:
        part = nn.TransformerEncoder(part, 2)
    network = nn.Sequential(nn.Linear(16, 16), part, nn.Linear(16, 4)).eval()
    tokens = pictures(2, 5, 16)
    binary, rows = convert(network, "bireal", pictures=tokens)
    name = "1.layers.0." if stacked else "1."
    assert outcome(rows)[f"{name}linear1"] == "BinaryLinear"
    assert outcome(rows)[f"{name}self_attn.out_proj"] == "never called by itself"
    # Others than those that thresholds were put at: attention rounds in another way.
    tokens = pictures(2, 5, 16, seed=2)
    with torch.no_grad():
        ours = binary(tokens)
    torch.testing.assert_close(ours, binary(tokens))
    assert (ours - network(tokens)).abs().max() > 1e-3


@pytest.mark.parametrize("method", ["bireal", "reactnet", "dorefa"])
def test_attention_of_torch_stays(method):
    class Attention(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inside = nn.Linear(8, 8)
            self.mixed = nn.Linear(8, 8)
            self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
            self.out = nn.Linear(8, 3)

        def forward(self, x):
            x = self.mixed(self.inside(x))
            return self.out(x + self.attention(x, x, x)[0])

    network, tokens = Attention(), pictures(2, 6, 8)
    binary, rows = convert(network, method, binarize=["*"], pictures=tokens)
    assert type(binary.attention.out_proj) is type(network.attention.out_proj)
    assert outcome(rows)["attention.out_proj"] == "never called by itself"
    binary(tokens).sum().backward()
    assert binary.attention.out_proj.weight.grad is not None


def test_a_state_dict_of_the_network_loads_strictly_and_is_placed_anew():
    network, other = small(), small(seed=3)
    binary, _ = convert(network, "reactnet", pictures=X)
    assert not unplaced(binary)
    binary.load_state_dict(other.state_dict())
    assert set(unplaced(binary)) == {"conv", "grouped", "hidden"}
    for name in unplaced(binary):
        layer, theirs = binary.get_submodule(name), other.get_submodule(name)
        assert torch.equal(layer.conv.weight, theirs.weight)
        bias = torch.zeros(()) if theirs.bias is None else theirs.bias
        assert torch.equal(layer.bias, bias.expand_as(layer.bias))
        assert torch.equal(layer.gain, torch.ones_like(layer.gain))
    place_converted(binary, lambda: binary(X))
    fresh, _ = convert(other, "reactnet", pictures=X)
    assert equal_states(binary.state_dict(), fresh.state_dict())


def test_a_state_dict_of_the_binary_network_loads_as_it_is():
    trained, _ = convert(small(), "reactnet", pictures=X)
    loaded, _ = convert(small(seed=3), "reactnet")
    loaded.load_state_dict(trained.state_dict())
    assert not unplaced(loaded)
    assert torch.equal(loaded.eval()(X), trained.eval()(X))
    assert torch.equal(copy.deepcopy(trained).eval()(X), trained(X))


def test_what_is_looked_at_holds_one_picture(monkeypatch):
    """All outputs of the pass stay in memory for a while."""
    seen = []
    network = Chain()
    network[0].register_forward_hook(lambda m, args, out: seen.append(len(args[0])))
    convert(network, "bireal", pictures=X)
    # The copy has the hook, too, and is placed with all of them.
    assert seen == [1, 4, 4]


def test_latent_layers_are_what_the_other_rooms_look_for():
    binary, _ = convert(small(), "bireal", pictures=X)
    found = [m for m in binary.modules() if isinstance(m, BinaryWeightLayer)]
    assert len(found) == 3
    assert all(isinstance(m.weight, nn.Parameter) for m in found)


def test_the_sum_of_a_converted_layer_by_hand():
    """bireal: ``alpha = mean|w|``; gain 2, bias 1, threshold 3."""
    layer = nn.Conv2d(2, 1, 1, bias=False)
    layer.weight.data = torch.tensor([[[[0.5]], [[-1.5]]]])
    made = ConvertedLayer(layer, get_method("bireal")).eval()
    made.gain.data.fill_(2.0)
    made.bias.data.fill_(1.0)
    made.binarize.place(torch.tensor([3.0, 3.0]), torch.tensor([1.0, 1.0]))
    x = torch.tensor([3.0, 2.0]).view(1, 2, 1, 1)
    assert made(x).item() == 2.0 * (1 * 1.0 + -1 * -1.0) + 1.0


def test_functions_that_are_no_layer_stay():
    class Functional(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1)
            self.kernel = nn.Parameter(torch.randn(4, 8, 1, 1))

        def forward(self, x):
            return F.conv2d(self.b(self.a(x)).relu(), self.kernel).mean((2, 3))

    network = Functional()
    binary, _ = convert(network, "bireal", binarize=["b"], pictures=X)
    assert torch.equal(binary.kernel, network.kernel)
