"""Any decode head of mmseg, binarized in place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmseg.registry import MODELS
from torch import Tensor, nn

from cmim.convert import convert

# Rows and columns of the finest features in the pass that shows which layers run, and
# of the coarsest ones for heads that pool over more than those have, as LRASPP does.
FINEST, COARSEST = (32, 48), (64, 64)


@MODELS.register_module()
def BinarizedHead(
    head: str | type[nn.Module],
    method: str | dict = "reactnet",
    keep: Sequence[str] = (),
    binarize: Sequence[str] = (),
    relu: str = "keep",
    level_channels: Sequence[int] | None = None,
    **options: Any,
) -> nn.Module:
    """A decode head whose convolutions and linear layers are binary.

    What comes back is the head itself, an instance of its own class, with binary layers
    in place of its own, see :func:`cmim.convert.convert`; its classifier stays full
    precision. Thresholds and scales are placed from the first batch of the training.

    Args:
        head: Class of the head, or its name in mmseg's registry.
        method: Name of a binarization method, or ``dict(name=..., **options)``;
            ``'fp'`` gives the head as it is.
        keep: Glob patterns of layers that stay full precision besides the classifier.
        binarize: Glob patterns of layers that become binary whatever the defaults say,
            such as the first one.
        relu: ``'keep'`` or ``'drop'``.
        level_channels: Channels of every level of the encoder, for a head that reads
            others than its ``in_index`` says.
        options: Of the head.

    Raises:
        ValueError: A head that does not run on features of its ``in_channels``, or of
            which no layer becomes binary.

    Examples:
        >>> import mmseg.models
        >>> head = BinarizedHead("FCNHead", method="bireal", in_channels=8, channels=4,
        ...     num_classes=3, norm_cfg=dict(type="BN"))
        >>> [type(m.conv).__name__ for m in head.convs]
        ['Conv2d', 'ConvertedLayer']
    """
    made = MODELS.build(dict(type=head, **options))
    channels, indices = made.in_channels, made.in_index
    if level_channels is not None:
        channels, indices = level_channels, range(len(level_channels))
    features = example_features(channels, indices)
    if not _runs(made, features):
        # What fails for another reason is refused by the conversion.
        features = example_features(channels, indices, large=True)
    binary, _ = convert(
        made, method, keep=keep, binarize=binarize, example=features, relu=relu
    )
    return binary


@torch.no_grad()
def _runs(head: nn.Module, features: list[Tensor]) -> bool:
    training = head.training
    try:
        head.eval()(features)
    except (RuntimeError, ValueError, TypeError, AssertionError):
        return False
    finally:
        head.train(training)
    return True


def example_features(
    in_channels: int | Sequence[int],
    in_index: int | Sequence[int],
    large: bool = False,
) -> list[Tensor]:
    """Levels of features that a head could read, each of half the former's size.

    Args:
        in_channels: Of the level, or of each.
        in_index: The level that a head reads, or the levels.
        large: The coarsest level has 64x64 pixels.

    Examples:
        >>> [tuple(f.shape) for f in example_features([8, 16], [0, 2])]
        [(1, 8, 32, 48), (1, 1, 16, 24), (1, 16, 8, 12)]
    """
    indices = [in_index] if isinstance(in_index, int) else list(in_index)
    channels = [in_channels] if isinstance(in_channels, int) else list(in_channels)
    count = max(max(indices) + 1, -min(indices))
    widths = [1] * count
    for index, width in zip(indices, channels, strict=True):
        widths[index] = width
    rows, columns = FINEST
    if large:
        rows, columns = (side << (count - 1) for side in COARSEST)
    generator = torch.Generator().manual_seed(0)
    return [
        torch.rand(
            1, width, max(2, rows >> k), max(3, columns >> k), generator=generator
        )
        for k, width in enumerate(widths)
    ]
