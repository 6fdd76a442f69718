"""What a format of exported networks declares, and what it is given and returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from mmengine.model import BaseModel
    from torch import Tensor, nn


@dataclass(frozen=True)
class PackedNetwork:
    """A trained network whose binary convolutions are packed, to be written.

    Attributes:
        core: Encoder and heads, made by :func:`cmim.deploy.packed_conv.pack_network`.
        packed: Names of the packed layers.
        example: An input of it; its shape is the file's.
        model: The task model that it was made of.
        identity: What the network answers (:mod:`cmim.identity`), for the file to say.
        rest: What the layers beside the binary ones shall become.
        calibration_images: Reads images whose ranges 8-bit layers are made for.
    """

    core: nn.Module
    packed: list[str]
    example: Tensor
    model: BaseModel
    identity: dict[str, Any]
    rest: str
    calibration_images: Callable[[], list[Tensor]]


class WrittenLayer(TypedDict):
    """A layer or step of a file; ``output`` is its shape, ``AxBxC``."""

    name: str
    type: str
    kernel: str
    output: str


class CheckedLayer(TypedDict):
    """A binary layer of a file against integers, from equal inputs.

    ``wrong`` counts the ``values`` that differ; ``products`` are those of signs that
    the layer is the sum of.
    """

    layer: str
    shape: str
    products: int
    values: int
    wrong: int


class EngineCheckedLayer(CheckedLayer):
    """The same of an engine; with scales the largest relative difference, too."""

    scaled_difference: float


class OutputCheck(TypedDict, total=False):
    """Outputs of a file against torch's, see :func:`compare_outputs`."""

    difference: float
    largest: float
    same_class: float


class Checked(OutputCheck):
    """What the check of a file found."""

    verified: Sequence[CheckedLayer]


@dataclass(frozen=True)
class Format:
    """How a packed network becomes a file, and what the file is good for.

    Attributes:
        suffix: Ending of the file, which says its format.
        about: Whom the file is for and what it holds, for the command's help.
        checks: What ``check`` compares, for the command's help.
        write: Writes a network to a path and returns the file's layers.
        check: Compares a file that ``write`` has made with its network.
        packages: What writing needs besides cmim's own packages, as it is imported.
        check_packages: What checking needs as well.
        beside: Endings of files that lie beside it and belong to it.
        rests: What the layers beside the binary ones can become, each with the packages
            that it needs.
        read: ``(model config, path, identity)`` to a task model whose network is the
            file's; None where other programs run it.
    """

    suffix: str
    about: str
    checks: str
    write: Callable[[PackedNetwork, Path], list[WrittenLayer]]
    check: Callable[[PackedNetwork, Path], Checked]
    packages: tuple[str, ...] = ()
    check_packages: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    rests: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {"float32": ()}
    )
    read: Callable[[dict, str, dict[str, Any]], BaseModel] | None = None

    def files(self, path: str | Path) -> list[Path]:
        """The file and those beside it."""
        return [Path(path), *(Path(path).with_suffix(each) for each in self.beside)]
