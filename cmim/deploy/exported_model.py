"""An exported network in place of a task model's encoder and heads."""

from __future__ import annotations

import json
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.model import BaseModel
from mmseg.registry import MODELS
from torch import Tensor, nn

from cmim.deploy.binary_layer import ExportError
from cmim.deploy.network_core import OUTPUT
from cmim.deploy.seal import check_seal
from cmim.identity import check_identity
from cmim.task_model import describe


class ExportedNetwork(nn.Module):
    """A network in a file, called with tensors.

    Attributes:
        path: The file.
        shape: Of its input, ``(N, C, H, W)``.
        identity: What the file says that it answers, or None.
        outputs: Tasks of the outputs; a network with one head has one without a name.
        channels: Channels of each output.
    """

    path: str | Path
    shape: tuple[int, ...]
    identity: dict[str, Any] | None
    outputs: list[str]
    channels: list[int]

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        """The outputs for as many images as the file says, float32."""
        raise NotImplementedError

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The output of each head for normalised images ``(N, 3, H, W)``, any N."""
        batch, *image = self.shape
        if list(x.shape[1:]) != image:
            given, wanted = ("x".join(map(str, s)) for s in (x.shape[2:], image[1:]))
            raise ExportError(
                f"{self.path} was exported for images of {wanted} pixels, and these "
                f"have {given}: export it with --size {x.shape[2]} {x.shape[3]}"
            )
        parts: list[list[Tensor]] = [[] for _ in self.outputs]
        for start in range(0, len(x), batch):
            part = x[start : start + batch]
            full = torch.cat([part, part[-1:].expand(batch - len(part), -1, -1, -1)])
            found = self.run(full.float().cpu().numpy())
            for k, kept in enumerate(parts):
                kept.append(torch.from_numpy(found[k].copy())[: len(part)])
        return tuple(torch.cat(kept).to(x.device) for kept in parts)


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
        super().__init__()

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
        self.path = path
        self.identity = read_identity(model, path)
        self.shape = tuple(model.input(0).shape)
        try:
            self._compiled = core.compile_model(model, "CPU", options)
        except RuntimeError as error:
            raise ExportError(_why_not_compiled(path, error)) from None
        outputs = self._compiled.outputs
        self.outputs = [task_of(*output.get_names()) for output in outputs]
        shapes = [output.get_partial_shape() for output in outputs]
        self.channels = [int(shape[1].get_length()) for shape in shapes]

    def run(self, images: np.ndarray) -> list[np.ndarray]:
        return list(self._compiled(images).values())


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
    return f"OpenVINO does not run {path} here: {text[-300:]}"


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
    engine = Engine(path, threads, options)
    return load_network(model_config, engine, identity)


def load_network(
    model_config: dict, engine: ExportedNetwork, identity: dict[str, Any] | None = None
) -> BaseModel:
    """A task model whose encoder and heads are a file's network.

    Args:
        model_config: Config of the task model.
        engine: The network.
        identity: :func:`cmim.identity.identity_of` the config in use.

    Raises:
        ExportError: The network is one of other tasks.
    """
    path = engine.path
    if identity is not None:
        try:
            check_identity(identity, engine.identity, path)
        except ValueError as error:
            raise ExportError(str(error)) from None
    model = MODELS.build(model_config).eval().requires_grad_(False)
    found = describe(model)
    # The output of a model with one head is exported without a name.
    named = list(found.heads) if found.joint else [""]
    if engine.outputs != named:
        given, wanted = (", ".join(n) or "one task" for n in (engine.outputs, named))
        raise ExportError(
            f"{path} was exported with heads for {given}, and this config has {wanted}:"
            " use the config it was exported with"
        )
    for head, channels in zip(found.heads.values(), engine.channels, strict=True):
        classes = getattr(head.part, "num_classes", channels)
        if channels != classes:
            raise ExportError(
                f"{path} was exported with {channels} classes, and this config has "
                f"{classes}: use the config it was exported with"
            )
    return with_network(model, engine)


def with_network(model: BaseModel, network: nn.Module) -> BaseModel:
    """A task model with another network in place of its encoder and heads.

    Args:
        model: The task model, changed.
        network: Normalised images to a tuple of each head's output. They stand in for
            feature maps: each head passes on its own one.
    """
    model.backbone = network
    if hasattr(model, "bottleneck"):
        model.bottleneck = None
    for place, head in enumerate(describe(model).heads.values()):
        head.part.forward = itemgetter(place)
    return model
