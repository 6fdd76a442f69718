"""Ground truth for surface normals, made of a frame's depth."""

from __future__ import annotations

from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from tasks.normals.plane_fit import NYU_CAMERA, Camera, normals_from_depth


@TRANSFORMS.register_module()
class AddNormals(BaseTransform):
    """``gt_normal_map`` ``(H, W, 3)`` from ``gt_depth_map``; zero where unknown.

    Unit vectors towards the camera; right, down, forward. Belongs right behind the
    transform that loads depth: the camera is that of the whole frame. ``AugmentFrame``
    then transforms the vectors with the frame. Formula and measured errors:
    :mod:`tasks.normals.plane_fit`.

    Args:
        window: Side of the fitted windows in pixels of the camera's frame, which is 640
            wide for NYUv2.
        noise: Standard deviation of the depth in metres. The default suits depth in
            steps of 39 mm; for depth in millimetres 0.003 and windows of 17.
        keep_depth: Leave the depth in the sample, for a depth task beside this one.
        camera: Focal lengths, principal point, height and width in pixels: ``(f_x, f_y,
            c_x, c_y, H, W)``, scaled to the frame. NYUv2's when None.

    Raises:
        ValueError: The frame has no depth, or another aspect than the camera.

    Examples:
        >>> import numpy as np
        >>> frame = dict(gt_depth_map=np.full((24, 32), 2.0, np.float32))
        >>> out = AddNormals(keep_depth=False)(frame)
        >>> list(out), (out["gt_normal_map"][12, 16] + 0).tolist()
        (['gt_normal_map'], [0.0, 0.0, -1.0])
    """

    def __init__(
        self,
        window: int = 33,
        noise: float = 0.012,
        keep_depth: bool = True,
        camera: tuple[float, float, float, float, int, int] | None = None,
    ) -> None:
        self.window = window
        self.noise = noise
        self.keep_depth = keep_depth
        self.camera = NYU_CAMERA if camera is None else Camera(*camera)

    def transform(self, results: dict) -> dict:
        if "gt_depth_map" not in results:
            raise ValueError(
                "AddNormals needs gt_depth_map: put it behind the transform that loads "
                "depth"
            )
        depth = results["gt_depth_map"]
        self._check_aspect(*depth.shape)
        if not self.keep_depth:
            del results["gt_depth_map"]
        results["gt_normal_map"] = normals_from_depth(
            depth, self.camera, window=self.window, noise=self.noise
        )
        return results

    def _check_aspect(self, height: int, width: int) -> None:
        camera = self.camera
        off = abs(height * camera.width - width * camera.height)
        if off > max(camera.height, camera.width):
            raise ValueError(
                f"frames of {height}x{width} are not of the camera, which takes "
                f"{camera.height}x{camera.width}; name yours: AddNormals(camera=(f_x, "
                "f_y, c_x, c_y, H, W))"
            )
