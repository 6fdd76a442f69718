"""The binary branch of ASPP, with every method."""

from __future__ import annotations

import pytest
import torch

from cmim.methods import available_methods, get_method
from tasks.heads.aspp import ASPP, AtrousBranch, JoinedMaps


@pytest.mark.parametrize("name", available_methods())
def test_branch_is_its_formula(name):
    torch.manual_seed(0)
    branch = AtrousBranch(get_method(name), 4, dilation=2)
    x = torch.randn(2, 4, 7, 6)
    scaled = branch.scale(branch.conv(branch.binarize(x)), x)
    expected = branch.nonlinearity(x + branch.bn(scaled))
    assert torch.equal(branch(x), expected)
    assert expected.shape == x.shape


def test_branch_honours_the_output_scale():
    method, bireal = get_method("xnor_net"), get_method("bireal")
    branch, plain = (AtrousBranch(m, 4, dilation=2) for m in (method, bireal))
    plain.load_state_dict(branch.state_dict())
    x = torch.randn(2, 4, 7, 6)
    assert not torch.allclose(branch(x), plain(x))


def test_codes_of_a_binary_pyramid_carry_both_signs():
    torch.manual_seed(0)
    pyramid = ASPP(8, 4, (1, 2), method="bireal")
    seen = []
    for branch in pyramid.branches:
        branch.binarize.register_forward_hook(lambda m, a, out: seen.append(out))
    pyramid(torch.randn(2, 8, 6, 6).relu())
    shares = [(codes > 0).float().mean().item() for codes in seen]
    assert all(0.2 < share < 0.8 for share in shares), shares


@pytest.mark.parametrize("name", available_methods())
def test_joined_maps_are_their_formula(name):
    torch.manual_seed(0)
    join = JoinedMaps(get_method(name), 4, count=3)
    maps = [torch.randn(2, 4, 5, 6) for _ in range(3)]
    pooled = torch.randn(2, 4, 1, 1)
    total = 0
    for k in range(3):
        out = join.conv[k](join.binarize[k](maps[k]))
        total = total + join.scale[k](out, maps[k])
    mean = torch.stack(maps).mean(dim=0)
    expected = join.nonlinearity(mean + pooled + join.bn(total))
    assert torch.allclose(join(maps, pooled), expected, atol=1e-6)


def test_joined_maps_are_one_convolution_of_all_maps_side_by_side():
    torch.manual_seed(0)
    join = JoinedMaps(get_method("bnn"), 4, count=3).double().eval()
    maps = [torch.randn(2, 4, 5, 6, dtype=torch.float64) for _ in range(3)]
    weight = torch.cat([conv.binary_weight() for conv in join.conv], dim=1)
    signs = torch.cat([torch.where(x >= 0, 1.0, -1.0).double() for x in maps], dim=1)
    expected = torch.nn.functional.conv2d(signs, weight)
    join.bn = torch.nn.Identity()
    shortcut = sum(maps) / 3
    pooled = torch.zeros(2, 4, 1, 1, dtype=torch.float64)
    assert torch.allclose(join(maps, pooled), join.nonlinearity(shortcut + expected))


def test_every_parameter_of_a_binary_projection_learns():
    torch.manual_seed(0)
    pyramid = ASPP(8, 4, (1, 2), method="bireal", binary_projection=True)
    pyramid(torch.randn(2, 8, 6, 6)).square().sum().backward()
    still = [n for n, p in pyramid.named_parameters() if p.grad is None]
    assert not still
    assert all(p.grad.abs().sum() > 0 for p in pyramid.project.parameters())


def test_the_twin_of_a_binary_projection_has_the_same_names():
    binary, twin = (
        ASPP(8, 4, (1, 2), method=m, binary_projection=True) for m in ("bireal", "fp")
    )
    assert set(twin.state_dict()) <= set(binary.state_dict())
    assert twin(torch.zeros(1, 8, 5, 6)).shape == (1, 4, 5, 6)
