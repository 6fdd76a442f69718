"""Pictures that are corrupted as in ImageNet-C, by the package imagecorruptions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from cmim.digest import sha256_of
from cmim.engine.config_error import ConfigError
from cmim.optional_packages import require_packages

# In ImageNet-C's order: noise, blur, weather, digital.
KINDS = (
    "gaussian_noise",
    "shot_noise",
    "impulse_noise",
    "defocus_blur",
    "glass_blur",
    "motion_blur",
    "zoom_blur",
    "snow",
    "frost",
    "fog",
    "brightness",
    "contrast",
    "elastic_transform",
    "pixelate",
    "jpeg_compression",
)
SEVERITIES = (1, 2, 3, 4, 5)
# Below, the package refuses.
SMALLEST = 32
# They draw from a generator of their own, which takes a seed.
_SEEDED = ("impulse_noise", "glass_blur")


def check_corruptions(
    kinds: Sequence[str], severities: Sequence[int], images: int | None
) -> None:
    """Refuse what cannot be done, before anything takes long.

    Raises:
        ConfigError: Unknown kinds or severities, none at all, or no image.
        ImportError: The package is not installed; says how to.
    """
    require_packages("corrupting pictures", "imagecorruptions")
    for what, given, known in (
        ("kinds", kinds, KINDS),
        ("severities", severities, SEVERITIES),
    ):
        wrong = [each for each in given if each not in known]
        if wrong or not given or isinstance(given, str):
            raise ConfigError(
                f"{what} of corruptions are {', '.join(map(str, known))}; got "
                f"{', '.join(map(repr, wrong)) if wrong else repr(given)}"
            )
    if images is not None and images < 1:
        raise ConfigError(f"corruptions need at least 1 image, got images={images}")


def corrupt_picture(picture: Tensor, kind: str, severity: int, place: int) -> Tensor:
    """Corrupt one picture, always in the same way.

    What is random in it depends on kind, severity and place alone, so that all networks
    see the same pictures. NumPy's own random numbers go on as if nothing had been.

    Args:
        picture: RGB.
        kind: One of :data:`KINDS`.
        severity: 1 to 5.
        place: Of the picture in its data set.

    Shape:
        picture ``(3, H, W)`` uint8, at least 32 pixels each way; output the same.

    Raises:
        ConfigError: A picture that cannot be corrupted.
        ImportError: The package is not installed; says how to.

    References:
        Hendrycks and Dietterich, Benchmarking Neural Network Robustness to Common
        Corruptions and Perturbations, ICLR 2019. https://arxiv.org/abs/1903.12261
        Michaelis et al., Benchmarking Robustness in Object Detection, 2019 (the
        package, for pictures of any size). https://arxiv.org/abs/1907.07484
    """
    require_packages("corrupting pictures", "imagecorruptions")
    from imagecorruptions import corrupt

    if picture.dtype != torch.uint8 or picture.ndim != 3 or picture.shape[0] != 3:
        raise ConfigError(
            f"a picture of shape {tuple(picture.shape)} and {picture.dtype} cannot be "
            "corrupted: corruptions are made for three colours of 8 bits"
        )
    if min(picture.shape[1:]) < SMALLEST:
        raise ConfigError(
            f"a picture of {picture.shape[1]}x{picture.shape[2]} pixels cannot be "
            f"corrupted: {SMALLEST} each way are the fewest"
        )
    seed = int(sha256_of(f"{kind} {severity} {place}".encode())[:8], 16)
    own = {"seed": seed} if kind in _SEEDED else {}
    pixels = np.ascontiguousarray(picture.permute(1, 2, 0).cpu().numpy())
    with _seeded(seed):
        changed = corrupt(pixels, severity=severity, corruption_name=kind, **own)
    return torch.from_numpy(np.ascontiguousarray(changed.transpose(2, 0, 1)))


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """NumPy's old generator, which the package draws from, begun at a seed."""
    before = np.random.get_state()  # noqa: NPY002
    np.random.seed(seed)  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(before)  # noqa: NPY002
