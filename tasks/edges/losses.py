"""Class-balanced binary cross-entropy for edges.

Checked: against ``BalancedCrossEntropyLoss`` of
github.com/SimonVandenhende/Multi-Task-Learning-PyTorch, commit ed3d9ac, on one image
(it pools the images of a batch), with beta of the image and fixed: equal in float64,
gradients at most 1.1e-19 apart; 1.5e-8 and 5.8e-11 in float32.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from mmseg.registry import MODELS
from torch import Tensor, nn

from cmim.ranks import joined_mean

UNKNOWN = 255


def balanced_edge_loss(
    logits: Tensor, target: Tensor, edge_weight: float | None = None
) -> Tensor:
    r"""Cross-entropy whose edge pixels weigh as much as all others together.

    .. math::
        L = -\frac{1}{|V|} \Big( \beta \sum_{Y_+} \log \sigma(x_i)
            + (1 - \beta) \sum_{Y_-} \log(1 - \sigma(x_i)) \Big), \qquad
        \beta = \frac{|Y_-|}{|Y_+| + |Y_-|}

    for each image, averaged over the images of all processes that have known pixels. An
    image without an edge has beta 1 and so the loss 0, as has one of edges alone.

    The paper sums over the pixels of its one image; here it is the mean over known
    pixels V, so that the weight does not depend on the size.

    Args:
        logits: Scores, positive for an edge.
        target: 1 edge, 0 none, 255 unknown.
        edge_weight: A fixed beta in (0, 1) instead of the image's; 0.95 in the
            published multi-task code that the check above names.

    Shape:
        logits and target ``(N, 1, H, W)``; output a scalar in nats.

    Raises:
        ValueError: Other shapes, a weight outside (0, 1), or, on a CPU, another value
            in the target. Elsewhere the loss then is NaN, which ends the run as well:
            to look would wait for the device in every step.

    References:
        Xie, Tu, Holistically-Nested Edge Detection, ICCV 2015.
        https://arxiv.org/abs/1504.06375

    Examples:
        One edge and one other pixel, both undecided: beta = 1/2, so log(2) / 2.

        >>> target = torch.tensor([1, 0, 255]).view(1, 1, 1, 3)
        >>> round(balanced_edge_loss(torch.zeros(1, 1, 1, 3), target).item(), 4)
        0.3466
    """
    if logits.shape != target.shape or logits.ndim != 4 or logits.shape[1] != 1:
        raise ValueError(
            f"logits have shape {tuple(logits.shape)} and target "
            f"{tuple(target.shape)}; both must be the same (N, 1, H, W)"
        )
    if edge_weight is not None and not 0 < edge_weight < 1:
        raise ValueError(f"edge_weight must be in (0, 1), got {edge_weight}")
    dtype = torch.promote_types(logits.dtype, torch.float32)
    scores, truth = logits.flatten(1).to(dtype), target.flatten(1)
    edge, none = truth == 1, truth == 0
    known = edge | none
    wrong = _other_values(truth, known)
    scores = torch.where(known, scores, torch.zeros_like(scores))
    count = known.sum(dim=1).clamp(min=1)
    beta = (none.sum(dim=1) / count).to(dtype)[:, None]
    if edge_weight is not None:
        beta = torch.full_like(beta, edge_weight)
    each = F.binary_cross_entropy_with_logits(scores, edge.to(dtype), reduction="none")
    weight = torch.where(edge, beta, 1 - beta) * known
    images = (each * weight).sum(dim=1) / count
    loss = joined_mean(images.sum(), known.any(dim=1).sum())
    return loss if wrong is None else torch.where(wrong, torch.nan, loss)


def _other_values(truth: Tensor, known: Tensor) -> Tensor | None:
    """Whether there are values that mean nothing, where looking would cost a wait."""
    other = ~known & (truth != UNKNOWN)
    if truth.device.type != "cpu":
        return other.any()
    if other.any():
        raise ValueError(
            f"{int(other.sum())} pixels of the true edges hold other values than 0 "
            f"(none), 1 (edge) and {UNKNOWN} (unknown), the first "
            f"{truth[other][0].item()}: make the edge maps again with these values"
        )
    return None


@MODELS.register_module()
class BalancedEdgeLoss(nn.Module):
    """Module form of :func:`balanced_edge_loss`.

    Args:
        loss_weight: Factor on the loss.
        edge_weight: A fixed beta instead of the image's own.
    """

    loss_name = "loss_edge"

    def __init__(
        self, loss_weight: float = 1.0, edge_weight: float | None = None
    ) -> None:
        super().__init__()
        self.loss_weight = loss_weight
        self.edge_weight = edge_weight

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        loss = balanced_edge_loss(logits, target, self.edge_weight)
        return self.loss_weight * loss
