r"""PReLU with learned shifts of its input and output."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def rprelu(x: Tensor, shift: Tensor, slope: Tensor, offset: Tensor) -> Tensor:
    r"""Per channel ``PReLU(x + shift) + offset``.

    .. math:: y_c = \mathrm{PReLU}(x_c + \gamma_c; \beta_c) + \zeta_c

    The slope counts where ``x + shift < 0``, and as gradient at exactly 0.

    Args:
        x: ``(N, C, *)``.
        shift: ``(C,)``, gamma.
        slope: ``(C,)``, beta.
        offset: ``(C,)``, zeta.

    References:
        Liu et al., ReActNet, ECCV 2020 (which subtracts gamma).
        https://arxiv.org/abs/2003.03488

    Examples:
        >>> import torch
        >>> one = torch.ones(1)
        >>> rprelu(torch.tensor([[-3.0], [2.0]]), one, 0.5 * one, -one).tolist()
        [[-2.0], [2.0]]
    """
    shape = (-1, *[1] * (x.dim() - 2))
    # Under autocast the activations stay in its type.
    shift, slope, offset = (p.to(x.dtype) for p in (shift, slope, offset))
    return F.prelu(x + shift.view(shape), slope) + offset.view(shape)
