"""Running exported files: OpenVINO for ``.xml``, ONNX Runtime for ``.onnx``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import openvino as ov
import torch
from torch import Tensor, nn

from cmim.deploy.exported_model import Engine
from cmim.deploy.shared_core import shared_core

Run = Callable[[], Any]
# The image's name in the files of :func:`cmim.deploy.onnx_export.save_onnx`.
IMAGE = "image"


def prepare_file(
    path: str, options: dict[str, Any], threads: int, example: Tensor
) -> Run:
    """A warmed-up call that runs an exported network once.

    Args:
        path: An ``.xml`` or ``.onnx``.
        options: Further options of OpenVINO; ONNX Runtime takes none.
        threads: CPU threads.
        example: The input.
    """
    if path.endswith(".onnx"):
        session, image = make_session(path, threads), example.numpy()

        def run() -> None:
            session.run(None, {IMAGE: image})

        run()
        return run
    compiled = shared_core().compile_model(
        path, "CPU", {**options, "INFERENCE_NUM_THREADS": threads}
    )
    request = compiled.create_infer_request()
    request.set_input_tensor(ov.Tensor(example.numpy()))
    request.infer()
    return request.infer


def make_session(path: str, threads: int) -> Any:
    """A session of ONNX Runtime on the CPU.

    Its threads stop waiting actively once a run ends: they would take the time of
    whatever has its turn next.
    """
    import onnxruntime

    # On Windows it would report what it does.
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return onnxruntime.InferenceSession(path, options, ["CPUExecutionProvider"])


class SessionNetwork(nn.Module):
    """An ``.onnx`` file in ONNX Runtime, called with tensors as :class:`Engine` is.

    Args:
        path: The file, of one image at a time.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self._session = make_session(path, torch.get_num_threads())

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        rows = [
            self._session.run(None, {IMAGE: image[None].numpy()}) for image in x.float()
        ]
        return tuple(
            torch.cat([torch.from_numpy(part) for part in parts])
            for parts in zip(*rows, strict=True)
        )


def make_network(path: str, options: dict[str, Any]) -> nn.Module:
    """An exported file as a module: normalised images to the output of each head."""
    if path.endswith(".onnx"):
        return SessionNetwork(path)
    return Engine(path, options=options)
