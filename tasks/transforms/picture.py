"""Pictures with one label each: loading, random and central crops, packing."""

from __future__ import annotations

import albumentations as A
import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS
from mmseg.structures import SegDataSample

from tasks.picture_files import read_picture
from tasks.transforms.seeding import seed_apart


@TRANSFORMS.register_module()
class LoadImage(BaseTransform):
    """Load a picture: ``img`` ``(H, W, 3)`` uint8 RGB.

    A sample that has its ``img`` already (data sets in arrays) is passed on, so that
    the same pipeline also takes picture files.

    Args:
        cache: Keep decoded pictures in the memory of each loader process (CIFAR-10:
            0.2 GB), so that later epochs decode nothing.
        image_channels: See :func:`tasks.picture_files.read_picture`.
        image_white: Likewise.

    Raises:
        DataError: The file is missing, cannot be decoded or holds more than is read;
            the message names it.
    """

    def __init__(
        self,
        cache: bool = False,
        image_channels: int | None = None,
        image_white: int | None = None,
    ) -> None:
        self.kind = dict(channels=image_channels, white=image_white)
        self._cache: dict[str, np.ndarray] | None = {} if cache else None

    def transform(self, results: dict) -> dict:
        if "img" in results:
            return results
        path = results["img_path"]
        image = self._cache.get(path) if self._cache is not None else None
        if image is None:
            image = read_picture(path, **self.kind)
            if self._cache is not None:
                self._cache[path] = image
        results["img"] = image
        results["ori_shape"] = image.shape[:2]
        return results


@TRANSFORMS.register_module()
class RandomCropFlip(BaseTransform):
    """Zero padding, a random crop and a horizontal flip: the recipe of CIFAR.

    Plain NumPy: general libraries cost more than the decoding of a 32x32 picture.

    Args:
        crop_size: ``(H, W)`` pixels of the result.
        padding: Black pixels put on each side before the crop.
        flip: Probability of a flip.

    Raises:
        ValueError: A size that is not positive, or a picture smaller than the crop.

    References:
        Lee et al., Deeply-Supervised Nets, AISTATS 2015; He et al., CVPR 2016,
        section 4.2. https://arxiv.org/abs/1512.03385

    Examples:
        >>> picture = dict(img=np.ones((4, 4, 3), np.uint8), seed=[0])
        >>> int(RandomCropFlip((4, 4), padding=0, flip=0)(picture)["img"].sum())
        48
    """

    def __init__(
        self, crop_size: tuple[int, int], padding: int = 4, flip: float = 0.5
    ) -> None:
        if min(crop_size) <= 0 or padding < 0:
            raise ValueError(
                f"crop_size must be positive and padding not negative, got "
                f"{tuple(crop_size)} and {padding}"
            )
        self.crop_size = tuple(crop_size)
        self.padding = padding
        self.flip = flip

    def transform(self, results: dict) -> dict:
        image, p = results["img"], self.padding
        rows, columns, _ = image.shape
        height, width = self.crop_size
        free = (rows + 2 * p - height, columns + 2 * p - width)
        if min(free) < 0:
            raise ValueError(
                f"'{results.get('img_path')}' has {rows}x{columns} pixels, too few for "
                f"crops of {height}x{width} with padding {p}"
            )
        words = np.random.SeedSequence(results["seed"]).generate_state(3).tolist()
        top, left = words[0] % (free[0] + 1), words[1] % (free[1] + 1)
        image = cv2.copyMakeBorder(image, p, p, p, p, cv2.BORDER_CONSTANT, value=0)
        image = image[top : top + height, left : left + width]
        if words[2] < self.flip * 2**32:
            image = image[:, ::-1]
        results["img"] = image
        return results


@TRANSFORMS.register_module()
class RandomResizedCropFlip(BaseTransform):
    """Random area and aspect, flip and colour: the recipe of ImageNet.

    Args:
        crop_size: ``(H, W)`` pixels of the result.
        scale: Range of the crop's share of the picture's area.
        ratio: Range of the crop's width / height.
        flip: Probability of a horizontal flip.
        colour: Strength of the brightness, contrast and saturation changes, 0 for none.
        hue: Largest turn of the hue, as a share of the colour circle, 0 to 0.5.

    Raises:
        ValueError: A hue outside [0, 0.5], or a change of colours of other bands.

    References:
        Szegedy et al., Going Deeper with Convolutions, CVPR 2015, section 6.
        https://arxiv.org/abs/1409.4842

    Examples:
        >>> picture = dict(img=np.zeros((60, 80, 3), np.uint8), seed=[0])
        >>> RandomResizedCropFlip((32, 32))(picture)["img"].shape
        (32, 32, 3)
    """

    def __init__(
        self,
        crop_size: tuple[int, int],
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        flip: float = 0.5,
        colour: float = 0.0,
        hue: float = 0.0,
    ) -> None:
        if not 0 <= hue <= 0.5:
            raise ValueError(f"hue must be in [0, 0.5], got {hue}")
        change = (1 - colour, 1 + colour)
        self.crop_size = tuple(crop_size)
        self.changes_colour = bool(colour or hue)
        self._compose = A.Compose(
            [
                A.RandomResizedCrop(
                    self.crop_size,
                    scale=tuple(scale),
                    ratio=tuple(ratio),
                    area_for_downscale="image",
                ),
                A.HorizontalFlip(p=flip),
                A.ColorJitter(
                    brightness=change,
                    contrast=change,
                    saturation=change,
                    hue=(-hue, hue),
                    p=1.0 if self.changes_colour else 0.0,
                ),
            ]
        )

    def transform(self, results: dict) -> dict:
        bands = results["img"].shape[2]
        if self.changes_colour and bands not in (1, 3):
            raise ValueError(
                f"'{results.get('img_path')}' has {bands} bands, and colours are "
                "changed in pictures of 1 or 3 only; set colour=0 and hue=0 in "
                "RandomResizedCropFlip"
            )
        seed_apart(self._compose, results["seed"])
        results["img"] = self._compose(image=results["img"])["image"]
        return results


@TRANSFORMS.register_module()
class ResizeCenterCrop(BaseTransform):
    """Resize the shorter side, then crop the centre, for evaluation.

    Pictures that have the size already are passed on untouched.

    Args:
        size: ``(H, W)`` pixels of the result.
        shorter: Pixels of the shorter side before the crop.

    Raises:
        ValueError: ``shorter`` is less than the crop's larger side.

    Examples:
        >>> picture = dict(img=np.zeros((60, 80, 3), np.uint8))
        >>> ResizeCenterCrop((32, 32), shorter=36)(picture)["img"].shape
        (32, 32, 3)
    """

    def __init__(self, size: tuple[int, int], shorter: int) -> None:
        if not 0 < max(size) <= shorter or min(size) <= 0:
            raise ValueError(
                f"shorter must be at least the crop's larger side, got {shorter} for "
                f"{tuple(size)}"
            )
        self.size = tuple(size)
        self.shorter = shorter

    def transform(self, results: dict) -> dict:
        image = results["img"]
        rows, columns = image.shape[:2]
        factor = self.shorter / min(rows, columns)
        if factor != 1:
            rows, columns = round(rows * factor), round(columns * factor)
            image = cv2.resize(
                image,
                (columns, rows),
                interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR,
            )
        height, width = self.size
        top, left = (rows - height) // 2, (columns - width) // 2
        results["img"] = image[top : top + height, left : left + width]
        return results


@TRANSFORMS.register_module()
class PackImage(BaseTransform):
    """Make the sample that models take.

    ``inputs``: ``(3, H, W)`` uint8; ``data_samples``: a data sample with ``img_path``,
    ``sample_idx`` (its place in the data set) and, where known, ``gt_label`` (a plain
    int: a tensor a sample would cost more than everything else on its way between
    processes).

    Examples:
        >>> picture = dict(img=np.zeros((2, 4, 3), np.uint8), gt_label=7)
        >>> packed = PackImage()(picture)
        >>> packed["inputs"].shape, packed["data_samples"].gt_label
        (torch.Size([3, 2, 4]), 7)
    """

    def transform(self, results: dict) -> dict:
        image = results["img"]
        planes = np.ascontiguousarray(image.transpose(2, 0, 1))
        keys = ("img_path", "ori_shape", "sample_idx")
        known = {k: results[k] for k in keys if k in results}
        sample = SegDataSample(metainfo=dict(known, img_shape=image.shape[:2]))
        if "gt_label" in results:
            sample.set_data(dict(gt_label=results["gt_label"]))
        return dict(inputs=torch.from_numpy(planes), data_samples=sample)
