"""Geometry-consistent augmentation of image, labels, depth and normals."""

from __future__ import annotations

import random

import albumentations as A
import cv2
import numpy as np
from albumentations.augmentations.geometric.functional import resize
from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from tasks.transforms.zoom import Window

VOID = 255


@TRANSFORMS.register_module()
class AugmentFrame(BaseTransform):
    r"""Random scale, crop, flip and colour, the same geometry for every map.

    Zooming in by s makes a scene look s times nearer, so depth is divided by s. Pixels
    that a crop pads are black in the image, void (255) in the labels and unknown (0) in
    depth and normals. All but the image takes the pixel at the centre of each new one
    (:class:`~tasks.transforms.zoom.Window`): a mean of two surfaces is no surface.

    What this does to normals: with the camera as it is, a point at pixel offset (x, y)
    and depth z moves to (s x, s y) and z / s, so

    .. math:: (X, Y, Z) = (z x, z y, z) \mapsto (X, Y, Z / s)

    and normals, by the inverse transpose of that matrix, go to (n_x, n_y, s n_z), made
    unit length: the normals of the depth map that the sample carries. (With a longer
    focal length instead, they would not change; a crop does not say which it is.) The
    multi-task code of Vandenhende et al. divides the depth and leaves the normals,
    which then are not those of the depth. A flip changes the sign of n_x.

    Args:
        base_size: ``(H, W)`` pixels that scale 1 stands for, for frames that all have
            this aspect; or the pixels of the shorter side, for frames of any sizes.
        crop_size: ``(H, W)`` pixels of the result.
        scale: Range of the random scale relative to ``base_size``.
        flip: Probability of a horizontal flip.
        colour: Strength of the brightness, contrast and saturation changes, 0 for none.

    Raises:
        ValueError: A range or size that is not positive.

    Examples:
        >>> frame = dict(img=np.zeros((8, 8, 3), np.uint8), seed=[0],
        ...              gt_depth_map=np.full((8, 8), 3.0, np.float32))
        >>> out = AugmentFrame((8, 8), (4, 4), scale=(2.0, 2.0), colour=0)(frame)
        >>> out["img"].shape, float(out["gt_depth_map"].max())
        ((4, 4, 3), 1.5)
    """

    def __init__(
        self,
        base_size: tuple[int, int] | int,
        crop_size: tuple[int, int],
        scale: tuple[float, float] = (0.8, 1.6),
        flip: float = 0.5,
        colour: float = 0.2,
    ) -> None:
        base = (base_size,) if isinstance(base_size, int) else tuple(base_size)
        if min(*base, *crop_size) <= 0:
            raise ValueError(
                f"sizes must be positive, got base {base_size}, crop {crop_size}"
            )
        if not 0 < scale[0] <= scale[1]:
            raise ValueError(f"scale must be 0 < low <= high, got {tuple(scale)}")
        self.base_size = base
        self.crop_size = (crop_size[0], crop_size[1])
        self.scale = tuple(scale)
        self.flip = flip
        self.colour = colour
        change = (1 - colour, 1 + colour)
        self._recolour = A.ColorJitter(
            brightness=change,
            contrast=change,
            saturation=change,
            hue=(-colour / 8, colour / 8),
            p=1.0,
        )

    def transform(self, results: dict) -> dict:
        image = results["img"]
        height, width, bands = image.shape
        if self.colour and bands not in (1, 3):
            raise ValueError(
                f"'{results.get('img_path')}' has {bands} bands, and colours are "
                "changed in pictures of 1 or 3 only; set colour=0 in AugmentFrame"
            )
        draws = _draws(results["seed"])
        side = self._side(height, width)
        factor = self.base_size[0] / side
        # The scale is relative to what was loaded.
        scale = draws.uniform(*(s * factor - 1 for s in self.scale)) + 1.0
        window = self._window((int(height * scale), int(width * scale)), draws)
        results["img"] = self._picture(image, window, scale < 1, draws)
        results["img_shape"] = results["ori_shape"] = self.crop_size
        if "gt_seg_map" in results:
            results["gt_seg_map"] = window.of(results["gt_seg_map"], VOID)
        zoom = scale * side / self.base_size[0]
        if "gt_depth_map" in results:
            depth = window.of(results["gt_depth_map"], 0)
            results["gt_depth_map"] = depth / np.float32(zoom)
        if "gt_normal_map" in results:
            sign = -1.0 if window.flip else 1.0
            stretch = np.array([sign, 1.0, zoom], np.float32)
            normals = window.of(results["gt_normal_map"], 0)
            results["gt_normal_map"] = _unit(normals * stretch)
        return results

    def _side(self, height: int, width: int) -> int:
        """The side of a frame that ``base_size`` speaks of first."""
        if len(self.base_size) == 1:
            return min(height, width)
        base_height, base_width = self.base_size
        if abs(height * base_width - width * base_height) > max(height, width):
            raise ValueError(
                f"frames of {height}x{width} have another aspect than base_size "
                f"{base_height}x{base_width}; set base_size to the same aspect, or for "
                f"frames of any sizes to one number, base_size={min(self.base_size)}"
            )
        return height

    def _window(self, zoomed: tuple[int, int], draws: random.Random) -> Window:
        """Where the crop lies in the resized frame, and whether it is mirrored."""
        top, left = (
            int(max(0, whole - part + 1) * draws.random())
            for whole, part in zip(zoomed, self.crop_size, strict=True)
        )
        return Window(zoomed, (top, left), self.crop_size, draws.random() < self.flip)

    def _picture(
        self, image: np.ndarray, window: Window, shrinks: bool, draws: random.Random
    ) -> np.ndarray:
        """The window of a picture, with other colours, in the order of tensors."""
        method = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        resized = resize(image, window.zoomed, method)
        (top, left), (height, width) = window.corner, window.size
        part = resized[top : top + height, left : left + width]
        below, beside = height - part.shape[0], width - part.shape[1]
        if below or beside:
            part = np.pad(part, ((0, below), (0, beside), (0, 0)))
        if window.flip:
            part = cv2.flip(part, 1).reshape(part.shape)
        if self.colour:
            self._recolour.set_random_seed(draws.getrandbits(32))
            part = self._recolour(image=np.ascontiguousarray(part))["image"]
        return _in_planes(part)


@TRANSFORMS.register_module()
class ResizeImage(BaseTransform):
    """Resize the image alone, for evaluation at the ground truth's own resolution.

    Predictions are resized back to ``ori_shape`` by the model, so metrics are always
    computed on unresampled labels and depth.

    Args:
        size: ``(H, W)`` pixels of the network's input.
        shorter: Instead, the pixels of its shorter side, which keeps the aspect:
            pictures of several sizes then need batches of one.

    Raises:
        ValueError: Both are given, or none.

    Examples:
        >>> out = ResizeImage((4, 6))(dict(img=np.zeros((8, 12, 3), np.uint8)))
        >>> out["img"].shape, out["img_shape"]
        ((4, 6, 3), (4, 6))
        >>> picture = dict(img=np.zeros((16, 8, 3), np.uint8))
        >>> ResizeImage(shorter=4)(picture)["img"].shape
        (8, 4, 3)
    """

    def __init__(
        self, size: tuple[int, int] | None = None, shorter: int | None = None
    ) -> None:
        if (size is None) == (shorter is None):
            raise ValueError(
                f"give size=(H, W) or shorter=PIXELS, one of them; got {size} and "
                f"{shorter}"
            )
        self.size = None if size is None else tuple(size)
        self.shorter = shorter

    def transform(self, results: dict) -> dict:
        if self.size is not None:
            height, width = self.size
        elif self.shorter is not None:
            height, width = fit_shorter(results["img"].shape[:2], self.shorter)
        shrinks = results["img"].shape[0] > height
        results["img"] = cv2.resize(
            results["img"],
            (width, height),
            interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
        )
        results["img_shape"] = (height, width)
        return results


def fit_shorter(shape: tuple[int, int], shorter: int) -> tuple[int, int]:
    """``(H, W)`` with the same aspect whose shorter side has so many pixels.

    Examples:
        >>> fit_shorter((480, 640), 120), fit_shorter((3, 10000), 1)
        ((120, 160), (1, 3333))
    """
    factor = shorter / min(shape)
    return round(shape[0] * factor), round(shape[1] * factor)


def _draws(words: list[int]) -> random.Random:
    """Random numbers of one sample, well mixed from several small integers."""
    return random.Random(int(np.random.SeedSequence(words).generate_state(1)[0]))


def _in_planes(image: np.ndarray) -> np.ndarray:
    """The same picture, one band behind the other in memory, as tensors need it.

    Packing would bring it into this order pixel by pixel; OpenCV is ten times as fast.
    """
    planes = np.empty((image.shape[2], *image.shape[:2]), image.dtype)
    cv2.split(image, list(planes))
    return planes.transpose(1, 2, 0)


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Unit length; zero vectors stay."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / np.where(length > 0, length, np.float32(1))
