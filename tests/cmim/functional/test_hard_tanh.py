"""hard_tanh against torch's, and what it keeps."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from cmim.functional.hard_tanh import hard_tanh


@pytest.mark.parametrize(
    "dtype", [torch.float32, torch.float64, torch.bfloat16], ids=str
)
def test_output_and_gradient_are_torchs(dtype):
    one = torch.ones((), dtype=dtype)
    edges = [0 * one, one, one.nextafter(0 * one), one.nextafter(2 * one)]
    edges += [torch.tensor(v, dtype=dtype) for v in (torch.inf, torch.nan, 0.3)]
    ours = torch.stack([*edges, *(-e for e in edges)]).requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    out, expected = hard_tanh(ours), F.hardtanh(theirs)
    upstream = torch.arange(1, 1 + len(ours)).to(dtype)
    out.backward(upstream)
    expected.backward(upstream)
    torch.testing.assert_close(out, expected, rtol=0, atol=0, equal_nan=True)
    assert torch.equal(ours.grad, theirs.grad)


def test_only_the_result_is_kept():
    seen: list[Tensor] = []
    x = torch.randn(20, requires_grad=True)

    def pack(tensor: Tensor) -> Tensor:
        seen.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = hard_tanh(x)
    assert [t.data_ptr() for t in seen] == [out.data_ptr()]
