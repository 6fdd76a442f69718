"""The binary branch of ASPP, with every method."""

from __future__ import annotations

import pytest
import torch

from cmim.methods import available_methods, get_method
from tasks.heads.aspp import ASPP, AtrousBranch


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
