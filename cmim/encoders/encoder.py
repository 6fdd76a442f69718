"""What all encoders share: stages, output stride, initialisation, forward pass."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from functools import partial

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from cmim.encoders.pretrained import load_latent_weights
from cmim.encoders.recomputed import recomputed
from cmim.methods import Method, get_method
from cmim.stages import Stage


class BinaryEncoder(BaseModule):
    """A stem and stages: mmseg's backbone contract.

    Stages are modules ``layer1``, ``layer2``, ... (:meth:`add_stage`), unless a network
    has other names (:meth:`run_stage`).

    Args:
        stages: How many stages there are.
        out_indices: Which of them are returned, from 0; all when None.
        init_from: Path of a checkpoint for the latent weights.
        init_cfg: mmengine initialisation; Kaiming normal when None.

    Shape:
        ``(N, 3, H, W)`` to a tuple of ``(N, C_i, ceil(H / s_i), ceil(W / s_i))``.

    Raises:
        ValueError: A stage that does not exist.

    Attributes:
        accepted_weights: What ``init_from`` takes beside checkpoints of this project,
            for messages.
    """

    accepted_weights = "torchvision's ResNet state dicts"

    def __init__(
        self,
        stages: int,
        out_indices: Sequence[int] | None,
        init_from: str | None,
        init_cfg: dict | None,
    ) -> None:
        super().__init__(init_cfg)
        known = tuple(range(stages))
        chosen = known if out_indices is None else tuple(out_indices)
        if not chosen or not set(chosen) <= set(known):
            raise ValueError(
                f"out_indices {chosen}: choose from {', '.join(map(str, known))}"
            )
        self.out_indices = chosen
        self._stages: list[Stage] = []
        self._still: tuple[nn.Module, ...] = ()
        self._recompute = False
        self.init_from = init_from

    def add_stage(self, module: nn.Module, channels: int, stride: int) -> None:
        """Append a stage, named as in torchvision.

        Args:
            module: Its layers.
            channels: Of its output.
            stride: Input pixels per feature pixel of its output.
        """
        name = f"layer{len(self._stages) + 1}"
        self.add_module(name, module)
        self.declare_stage(name, channels, stride)

    def declare_stage(self, name: str, channels: int, stride: int) -> None:
        """Append a stage that is a module of the encoder already.

        Args:
            name: Of the module, from the encoder on.
            channels: Of its output.
            stride: Input pixels per feature pixel of its output.
        """
        self._stages.append(Stage(name, channels, stride))

    @property
    def stages(self) -> tuple[Stage, ...]:
        """All stages, shallow to deep, also those behind the last one returned."""
        return tuple(self._stages)

    def train_part(
        self, frozen_stages: int, norm_eval: bool, recompute_stages: bool
    ) -> None:
        """Say what is trained, and how; every constructor ends with it.

        Args:
            frozen_stages: -1 trains all; 0 leaves the stem as it is, k the stem and
                the first k stages, statistics of batch-norms included.
            norm_eval: Batch-norms of all stages normalise with the statistics that
                they have, as in evaluation; their factors are trained.
            recompute_stages: Keep the inputs of stages for the backward pass, and not
                what is within, which is computed again: the same gradients to the last
                bit, less memory, about a third more time.

        Raises:
            ValueError: More stages than there are.
        """
        if not -1 <= frozen_stages <= len(self._stages):
            raise ValueError(
                f"frozen_stages {frozen_stages}: choose from -1 (none), 0 (the stem) "
                f"and 1 to {len(self._stages)} (the stem and so many stages)"
            )
        frozen = self._frozen_modules(frozen_stages)
        for module in frozen:
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad_(False)
        norms = [m for m in self.modules() if isinstance(m, _BatchNorm) and norm_eval]
        # A tuple is no submodule: names in checkpoints stay.
        self._still = (*frozen, *norms)
        self._recompute = recompute_stages

    def _frozen_modules(self, count: int) -> list[nn.Module]:
        """All that is registered up to the end of a stage, or in front of the first."""
        if count < 0:
            return []
        names = [name for name, _ in self.named_modules() if name]
        if not count:
            end = names.index(self.first_module())
        else:
            stage = f"{self._stages[count - 1].name}."
            end = 1 + max(k for k, n in enumerate(names) if f"{n}.".startswith(stage))
        return [self.get_submodule(name) for name in names[:end]]

    def first_module(self) -> str:
        """Name of the module that the first stage begins with."""
        return self._stages[0].name

    def train(self, mode: bool = True) -> BinaryEncoder:
        """As in torch; what :meth:`train_part` keeps as it is stays in evaluation."""
        super().train(mode)
        for module in self._still:
            module.training = False
        return self

    @abstractmethod
    def stem(self, x: Tensor) -> Tensor:
        """Everything in front of the first stage."""

    def run_stage(self, index: int, x: Tensor) -> Tensor:
        """The output of a stage, given that of the one before or of the stem.

        Args:
            index: Which stage, from 0.
            x: Its input.
        """
        return self.get_submodule(self._stages[index].name)(x)

    def initialise(self) -> None:
        """Kaiming-normal convolutions, over the outputs that an input reaches."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(
                    module.weight, mode="fan_out", nonlinearity="relu"
                )
                if module.groups > 1:
                    # torch counts the outputs of all groups.
                    module.weight.data.mul_(module.groups**0.5)

    def rename_weights(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """A state dict of a file under the names of this encoder.

        Args:
            state: Of an encoder, as another library or this project saved it.
        """
        return state

    def init_weights(self) -> None:
        """:meth:`initialise`, or ``init_cfg``; then ``init_from`` if it is given."""
        if self.init_cfg is not None:
            super().init_weights()
        else:
            self.initialise()
        if self.init_from is not None:
            load_latent_weights(self, self.init_from)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        x = self.stem(x)
        features = []
        for i in range(max(self.out_indices) + 1):
            x = self._run(i, x)
            if i in self.out_indices:
                features.append(x)
        return tuple(features)

    def _run(self, index: int, x: Tensor) -> Tensor:
        if self._recompute and self.training and torch.is_grad_enabled():
            return recomputed(partial(self.run_stage, index), self, x)
        return self.run_stage(index, x)


def stage_methods(
    method: str | dict, real_stages: Sequence[int], stages: int
) -> list[Method]:
    """The method of each stage, where some stay full precision.

    Args:
        method: Of the others.
        real_stages: Which stages stay full precision, from 0.
        stages: How many there are.

    Raises:
        ValueError: Unknown method; a stage that does not exist.

    Examples:
        >>> [m.name for m in stage_methods("bireal", (0,), 3)]
        ['fp', 'bireal', 'bireal']
    """
    known = range(stages)
    if not set(real_stages) <= set(known):
        raise ValueError(
            f"real_stages {tuple(real_stages)}: choose from "
            f"{', '.join(map(str, known))}"
        )
    chosen, real = get_method(method), get_method("fp")
    return [real if i in real_stages else chosen for i in known]


def require_channels(base_channels: int) -> int:
    """The width of an encoder, if there is any.

    Raises:
        ValueError: Less than one channel.
    """
    if base_channels < 1:
        raise ValueError(f"base_channels must be at least 1, got {base_channels}")
    return base_channels


def require_bands(in_channels: int) -> int:
    """Bands of the pictures that an encoder reads, if there are any.

    Raises:
        ValueError: Less than one.
    """
    if in_channels < 1:
        raise ValueError(f"in_channels must be at least 1, got {in_channels}")
    return in_channels


def limit_strides(
    strides: Sequence[int], output_stride: int | None, stem: int
) -> list[tuple[int, int]]:
    """Stride and dilation of each stage so that the last one has the output stride.

    Where a stride would pass it, the stride becomes 1 and the dilation grows instead
    (DeepLab).

    Args:
        strides: Of the stages, as designed.
        output_stride: Input pixels per feature pixel of the last stage; as designed
            when None.
        stem: Stride of what is in front of the stages.

    Raises:
        ValueError: An output stride that no choice of the stages gives.

    Examples:
        >>> limit_strides((1, 2, 2, 2), 8, stem=4)
        [(1, 1), (2, 1), (1, 2), (1, 4)]
    """
    possible = [stem]
    for stride in strides:
        if stride > 1:
            possible.append(possible[-1] * stride)
    if output_stride is None:
        output_stride = possible[-1]
    if output_stride not in possible:
        raise ValueError(
            f"output_stride {output_stride} is unknown; "
            f"choose from {', '.join(map(str, possible))}"
        )
    reached, dilation = stem, 1
    limited = []
    for stride in strides:
        if reached * stride > output_stride:
            dilation *= stride
            limited.append((1, dilation))
        else:
            reached *= stride
            limited.append((stride, dilation))
    return limited
