r"""Surface normals from a depth map: local planes fitted by box sums.

A plane ``n . P = d`` seen by a pinhole camera, ``P = z (x, y, 1)`` with ``x = (u - c_x)
/ f_x`` and ``y = (v - c_y) / f_y``, has an inverse depth that is exactly affine in the
pixel:

.. math:: \frac{1}{z} = \frac{n_x}{d} x + \frac{n_y}{d} y + \frac{n_z}{d}
          = A x + B y + C

so least squares for (A, B, C) in a square window gives the normal
``-(A, B, C) / |(A, B, C)|``, which points towards the camera whatever the scale. All
windows are solved at once: ten box sums and a 2x2 system a pixel.

A window across an edge mixes two surfaces. Where the centred window is no plane to
within the sensor's noise, a pixel takes the best of the nine windows around it (shifted
by half a window) by their residual, as in Kuwahara's filter: beside an edge that is one
on its own side. (Taking the best everywhere would bend curved surfaces: noise would
choose.) A pixel whose best window is still no plane, or that lies off that plane
itself, has no normal.

Measured on synthetic frames of 480x640 whose depth is rounded to steps of 39 mm (an
8-bit map of 10 m), windows of 33 pixels: 2.2 degrees mean error over planes tilted by 0
to 60 degrees at 1.5 to 4 m (the steps of a nearly frontal one are wider than the
window: at most 10 degrees, for a single plane), 4.2 on a sphere of 0.5 m radius at 2 m,
2.2 on a room's corner (median 0.4). Windows of 25 pixels: 3.3, 5.4 and 2.4 degrees; of
41: 1.6, 3.6 and 2.0, at the cost of small things. With depth to the millimetre planes
are 0.01 degrees off, and smaller windows are enough.

References:
    Holzer et al., Adaptive Neighborhood Selection for Real-Time Surface Normal
    Estimation from Organized Point Cloud Data Using Integral Images, IROS 2012 (box
    sums).
    Kuwahara et al., Processing of RI-Angiocardiographic Images, Digital Processing of
    Biomedical Images, 1976 (the choice of a window).
    Silberman et al., Indoor Segmentation and Support Inference from RGBD Images,
    ECCV 2012 (the camera).
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
#: Residuals within this many standard deviations of the noise are those of a plane.
_PLAIN, _STILL_PLANE, _ON_PLANE = 1.5, 3.0, 4.0


class Camera(NamedTuple):
    """Focal lengths and principal point of a pinhole camera, in pixels."""

    fx: float
    fy: float
    cx: float
    cy: float
    height: int
    width: int

    def resized(self, height: int, width: int) -> Camera:
        """The same camera with other pixels; pixel centres are at integers + 1/2.

        Examples:
            >>> half = Camera(500.0, 500.0, 319.5, 239.5, 480, 640).resized(240, 320)
            >>> half.fx, half.cx, half.cy
            (250.0, 159.5, 119.5)
        """
        across, down = width / self.width, height / self.height
        return Camera(
            self.fx * across,
            self.fy * down,
            (self.cx + 0.5) * across - 0.5,
            (self.cy + 0.5) * down - 0.5,
            height,
            width,
        )


#: The RGB camera of NYU Depth v2, from its toolbox's camera_params.m.
NYU_CAMERA = Camera(518.857901, 519.469611, 325.582449, 253.736166, 480, 640)


class _Moments(NamedTuple):
    """Window means of x and y, and their (co)variances."""

    share: Doubles
    x: Doubles
    y: Doubles
    xx: Doubles
    yy: Doubles
    xy: Doubles


class _Planes(NamedTuple):
    """The plane of each window, and its residual relative to the distance."""

    a: Doubles
    b: Doubles
    c: Doubles
    residual: Doubles


def normals_from_depth(
    depth: NDArray[np.floating],
    camera: Camera = NYU_CAMERA,
    window: int = 33,
    noise: float = 0.012,
    growth: float = 0.002,
) -> NDArray[np.float32]:
    """Unit normals towards the camera; zero vectors where there is none.

    Args:
        depth: Metres along the optical axis; 0 or not finite is unknown.
        camera: Of the whole frame; scaled to the size of ``depth``.
        window: Side of the fitted windows in pixels of the camera's own frame, 640
            wide for NYU Depth v2; scaled like the camera.
        noise: Standard deviation of the depth in metres; of rounding to steps q it is
            q / sqrt(12), 0.011 for 39 mm.
        growth: A second one that grows with the square of the distance, per metre;
            0.0019 for the first Kinect (Nguyen et al., 3DIMPVT 2012).

    Returns:
        Components right, down and forward.

    Shape:
        depth ``(H, W)``; output ``(H, W, 3)`` float32.

    Raises:
        ValueError: A window or noise that is not positive, or no depth map.

    Examples:
        >>> wall = np.full((24, 32), 2.0)
        >>> (normals_from_depth(wall)[12, 16] + 0).tolist()
        [0.0, 0.0, -1.0]
    """
    if depth.ndim != 2:
        raise ValueError(f"depth has shape {depth.shape}; expected (H, W)")
    if not (window > 0 and noise > 0 and growth >= 0):
        raise ValueError(
            f"window and noise must be positive and growth not negative, got {window}, "
            f"{noise} and {growth}"
        )
    size = max(3, 2 * int(window * depth.shape[1] / camera.width / 2) + 1)
    here = camera.resized(*depth.shape)
    x, y = _rays(here)
    known = np.isfinite(depth) & (depth > 0)
    metres = np.where(known, depth, 1.0).astype(np.float64)
    # All deviations below are relative to the distance.
    deviation = np.hypot(noise / metres, growth * metres)
    fitted = _fit_planes(known / metres, known, here, size)
    planes = _best_windows(fitted, deviation, size // 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        inverse = planes.a * x + planes.b * y + planes.c
        valid = known & (planes.residual < _STILL_PLANE * deviation)
        valid &= np.abs(metres * inverse - 1) < _ON_PLANE * deviation
        normal = -np.stack([planes.a, planes.b, planes.c], axis=-1)
        normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    return np.where(valid[..., None], normal, 0).astype(np.float32)


def _rays(camera: Camera) -> tuple[Doubles, Doubles]:
    columns = np.arange(camera.width, dtype=np.float64)
    rows = np.arange(camera.height, dtype=np.float64)
    x, y = (columns - camera.cx) / camera.fx, (rows - camera.cy) / camera.fy
    return x[None, :], y[:, None]


def _box_mean(values: Doubles, size: int) -> Doubles:
    mean = cv2.boxFilter(values, -1, (size, size), borderType=cv2.BORDER_CONSTANT)
    return np.asarray(mean, np.float64)


def _moments(known: Doubles, camera: Camera, size: int) -> _Moments:
    x, y = _rays(camera)
    share = _box_mean(known, size)
    # Before a division: windows without any pixel have no plane whatever stands there.
    count = np.maximum(share, 1e-9)
    mean_x, mean_y = (_box_mean(known * r, size) / count for r in (x, y))
    return _Moments(
        share,
        mean_x,
        mean_y,
        _box_mean(known * (x * x), size) / count - mean_x**2,
        _box_mean(known * (y * y), size) / count - mean_y**2,
        _box_mean(known * (x * y), size) / count - mean_x * mean_y,
    )


@lru_cache(maxsize=4)
def _full_moments(camera: Camera, size: int) -> _Moments:
    """Of frames without a hole, as in-painted ones are: the same for all of them."""
    return _moments(np.ones((camera.height, camera.width)), camera, size)


def _fit_planes(w: Doubles, known: NDArray, camera: Camera, size: int) -> _Planes:
    whole = bool(known.all())
    m = (
        _full_moments(camera, size)
        if whole
        else _moments(known.astype(np.float64), camera, size)
    )
    x, y = _rays(camera)
    count = np.maximum(m.share, 1e-9)
    mean_w = _box_mean(w, size) / count
    xw = _box_mean(w * x, size) / count - m.x * mean_w
    yw = _box_mean(w * y, size) / count - m.y * mean_w
    ww = _box_mean(w * w, size) / count - mean_w**2
    with np.errstate(divide="ignore", invalid="ignore"):
        determinant = m.xx * m.yy - m.xy * m.xy
        a = (xw * m.yy - yw * m.xy) / determinant
        b = (yw * m.xx - xw * m.xy) / determinant
        residual = np.sqrt(np.maximum(ww - a * xw - b * yw, 0)) / mean_w
        c = mean_w - a * m.x - b * m.y
    # Fewer pixels than a quarter of the window say too little about a plane.
    usable = (m.share > 0.25) & np.isfinite(residual)
    return _Planes(a, b, c, np.where(usable, residual, np.inf))


def _best_windows(planes: _Planes, deviation: Doubles, shift: int) -> _Planes:
    """Give pixels whose own window is no plane the best one of those around."""
    height, width = deviation.shape
    rows, columns = np.nonzero(planes.residual > _PLAIN * deviation)
    chosen = rows * width + columns
    residual = planes.residual.ravel()
    best = residual[chosen]
    for down in (-shift, 0, shift):
        for right in (-shift, 0, shift):
            r, c = rows + down, columns + right
            inside = (r >= 0) & (r < height) & (c >= 0) & (c < width)
            there = np.where(inside, r * width + c, 0)
            found = np.where(inside, residual[there], np.inf)
            chosen = np.where(found < best, there, chosen)
            best = np.minimum(found, best)
    moved = [part.copy() for part in planes]
    for part, old in zip(moved, planes, strict=True):
        part[rows, columns] = old.ravel()[chosen]
    return _Planes(*moved)
