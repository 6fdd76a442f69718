"""An exported network in place of a task model's encoder and heads."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.model import BaseModel

from cmim.cpu_flags import said_limit
from cmim.deploy.binary_layer import ExportError
from cmim.deploy.engine import ExportedNetwork, task_model_of
from cmim.deploy.network_core import OUTPUT
from cmim.deploy.seal import check_seal


class Engine(ExportedNetwork):
    """A compiled OpenVINO model, called with tensors.

    Args:
        path: The ``.xml`` file; its ``.bin`` lies beside it.
        threads: CPU threads; the engine's choice when None.
        options: Further options of the engine.

    Raises:
        ExportError: The file is missing, no model, or not as it was exported.
    """

    def __init__(
        self,
        path: str | Path,
        threads: int | None = None,
        options: dict[str, Any] | None = None,
    ) -> None:
        from cmim.deploy.shared_core import FLOAT32, shared_core

        core = shared_core()
        if not Path(path).is_file():
            raise ExportError(f"exported model {path} does not exist")
        check_seal(path)
        try:
            model = core.read_model(path)
        except RuntimeError as error:
            last = str(error).strip().splitlines()[-1]
            raise ExportError(f"{path} is no OpenVINO model: {last}") from None
        options = {**FLOAT32, **(options or {})}
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
        identity = read_identity(model, path)
        try:
            compiled = core.compile_model(model, "CPU", options)
        except RuntimeError as error:
            raise ExportError(_why_not_compiled(path, error)) from None
        shapes = [output.get_partial_shape() for output in compiled.outputs]
        super().__init__(
            str(path),
            identity,
            tuple(model.input(0).shape),
            [task_of(*output.get_names()) for output in compiled.outputs],
            [int(shape[1].get_length()) for shape in shapes],
        )
        self._compiled = compiled

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        found = self._compiled(images)
        return [found[k] for k in range(len(self.outputs))]


def task_of(*names: str) -> str:
    """The task that one of an output's names says, empty for one without.

    Examples:
        >>> task_of("a", "cmim.depth"), task_of("output")
        ('depth', '')
    """
    named = [name for name in names if name.startswith(OUTPUT)]
    return named[0].removeprefix(OUTPUT) if named else ""


def _why_not_compiled(path: str | Path, error: RuntimeError) -> str:
    """Advice about a network that the engine does not take here."""
    text = " ".join(str(error).split())
    if "BinaryConvolution" in text:
        return (
            f"{path} holds a binary convolution that this CPU does not take: it was "
            "exported by an earlier version of the project on a CPU with AVX-512; "
            "export the checkpoint again, which gives a file for every CPU"
        )
    where = f"on this processor{said_limit()}"
    return f"OpenVINO does not run {path} {where}: {text[-300:]}"


def read_identity(model: Any, path: str | Path) -> dict[str, Any] | None:
    """The identity that an exported model states, or None.

    Raises:
        ExportError: It says something that nobody wrote.
    """
    if not model.has_rt_info(["cmim", "identity"]):
        return None
    note = model.get_rt_info(["cmim", "identity"]).astype(str)
    try:
        found = json.loads(note)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise ExportError(
            f"{path} is damaged: its note cmim/identity is no JSON object"
        )
    return found


def load_exported(
    model_config: dict,
    path: str | Path,
    threads: int | None = None,
    options: dict[str, Any] | None = None,
    identity: dict[str, Any] | None = None,
) -> BaseModel:
    """A task model whose network is an exported one; its predictions are made of it.

    Args:
        model_config: Config of the task model.
        path: The ``.xml`` file.
        threads: CPU threads of the engine.
        options: Further options of the engine.
        identity: :func:`cmim.identity.identity_of` the config in use; what the file
            says of itself must be the same, see :func:`check_identity`.

    Raises:
        ExportError: The file is missing, no model, or one of other tasks.
    """
    return task_model_of(Engine(path, threads, options), model_config, identity)
