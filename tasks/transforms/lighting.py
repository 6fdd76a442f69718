"""The colour noise of AlexNet, which ReActNet's and Bi-Real Net's recipes name."""

from __future__ import annotations

import numpy as np
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

# Standard deviations and axes of ImageNet's RGB values (in [0, 1]) along their
# principal components.
DEVIATIONS = np.array([0.2175, 0.0188, 0.0045])
AXES = np.array([
    [-0.5675, 0.7192, 0.4009],
    [-0.5808, -0.0045, -0.8140],
    [-0.5836, -0.6948, 0.4203],
])  # fmt: skip
# Keeps this noise apart from the draws of the crop of the same sample.
_OWN_DRAWS = (1,)


@TRANSFORMS.register_module()
class Lighting(BaseTransform):
    r"""Add one colour, drawn along the principal components of ImageNet's pixels.

    .. math::
        x' = x + u\, V (\alpha \odot \lambda), \qquad \alpha_i \sim N(0, \sigma^2)

    for every pixel alike, clipped to 0 to 255 and rounded down. Surprise: the released
    code of Bi-Real Net and ReActNet adds to values up to 255 what is meant for values
    up to 1 (``unit=1``): a channel stays, or loses one level by the rounding, and that
    is all. Their recipes here do so too.

    Checked: against ``Lighting`` of github.com/liuzechun/ReActNet, commit a6cd08d, with
    the same draws and ``unit=1``: equal.

    Args:
        deviation: sigma >= 0; 0.1 is usual.
        unit: u, levels of a picture that stand for the value 1.

    Raises:
        ValueError: A negative deviation, or pictures of other bands than RGB.

    References:
        Krizhevsky, Sutskever, Hinton, ImageNet Classification with Deep Convolutional
        Neural Networks, NeurIPS 2012, section 4.1; github.com/liuzechun/ReActNet,
        utils/utils.py.

    Examples:
        >>> picture = dict(img=np.full((2, 2, 3), 100, np.uint8), seed=[0])
        >>> levels = Lighting(unit=1)(picture)["img"]
        >>> int(levels.min()) >= 99, int(levels.max()) <= 100
        (True, True)
    """

    def __init__(self, deviation: float = 0.1, unit: float = 255.0) -> None:
        if not deviation >= 0:
            raise ValueError(f"deviation must not be negative, got {deviation}")
        self.deviation = deviation
        self.unit = unit

    def transform(self, results: dict) -> dict:
        words = np.random.SeedSequence(results["seed"], spawn_key=_OWN_DRAWS)
        alpha = self.deviation * np.random.default_rng(words).standard_normal(3)
        colour = self.unit * (AXES @ (alpha * DEVIATIONS))
        table = np.clip(np.arange(256)[:, None] + colour, 0, 255).astype(np.uint8)
        image = results["img"]
        if image.shape[2] != 3:
            raise ValueError(
                f"'{results.get('img_path')}' has {image.shape[2]} bands, and Lighting "
                "draws colours of RGB; remove it from the pipeline"
            )
        channels = [table[image[..., c], c] for c in range(3)]
        results["img"] = np.stack(channels, axis=2)
        return results
