"""Ground truth for scene classification, read from the prepared folder."""

from __future__ import annotations

from pathlib import Path

from mmcv.transforms import BaseTransform
from mmseg.registry import TRANSFORMS

from tasks.datasets.errors import DataError
from tasks.datasets.scene_types import FILE, read_scene_types


@TRANSFORMS.register_module()
class AddScene(BaseTransform):
    """``gt_label``: the frame's scene type, a place in ``SCENE_TYPES``.

    Reads ``scene_types.txt`` of the folder that the frame lies in, once a process. A
    picture that belongs to no data set (it has no ``frame``) passes untouched.

    Raises:
        DataError: The file is missing or lacks the frame; the message says how to get
            it.
    """

    def __init__(self) -> None:
        self._known: dict[Path, dict[str, int]] = {}

    def transform(self, results: dict) -> dict:
        frame = results.get("frame")
        if frame is None:
            return results
        root = Path(results["img_path"]).parents[1]
        if root not in self._known:
            self._known[root] = read_scene_types(root)
        if frame not in self._known[root]:
            raise DataError(
                f"'{root / FILE}' has no scene type for frame '{frame}'; prepare the "
                "data again"
            )
        results["gt_label"] = self._known[root][frame]
        return results
