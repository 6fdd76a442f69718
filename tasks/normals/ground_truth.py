"""Ground truth for surface normals, made of a frame's depth."""

from __future__ import annotations

from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from tasks.normals.plane_fit import normals_from_depth


@TRANSFORMS.register_module()
class AddNormals(BaseTransform):
    """``gt_normal_map`` ``(H, W, 3)`` from ``gt_depth_map``; zero where unknown.

    Unit vectors towards the camera; right, down, forward. Belongs right behind
    ``LoadFrame``: the camera is that of the whole frame. ``AugmentFrame`` then
    transforms the vectors with the frame. Formula and measured errors:
    :mod:`tasks.normals.plane_fit`.

    Args:
        window: Side of the fitted windows in pixels of a frame 640 wide.
        noise: Standard deviation of the depth in metres. The default suits depth in
            steps of 39 mm; for depth in millimetres 0.003 and windows of 17.
        keep_depth: Leave the depth in the sample, for a depth task beside this one.

    Raises:
        ValueError: The frame has no depth.

    Examples:
        >>> import numpy as np
        >>> frame = dict(gt_depth_map=np.full((24, 32), 2.0, np.float32))
        >>> out = AddNormals(keep_depth=False)(frame)
        >>> list(out), (out["gt_normal_map"][12, 16] + 0).tolist()
        (['gt_normal_map'], [0.0, 0.0, -1.0])
    """

    def __init__(
        self, window: int = 33, noise: float = 0.012, keep_depth: bool = True
    ) -> None:
        self.window = window
        self.noise = noise
        self.keep_depth = keep_depth

    def transform(self, results: dict) -> dict:
        if "gt_depth_map" not in results:
            raise ValueError(
                "AddNormals needs gt_depth_map: put it behind LoadFrame(depth=True)"
            )
        depth = results["gt_depth_map"]
        if not self.keep_depth:
            del results["gt_depth_map"]
        results["gt_normal_map"] = normals_from_depth(
            depth, window=self.window, noise=self.noise
        )
        return results
