"""The declaration of a format of exported networks, and the records it works with."""

from __future__ import annotations

import re
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
        identity: The network's identity (:mod:`cmim.identity`), for the file to state.
        rest: The form that the layers beside the binary ones shall have.
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
    """Findings of the check of a file."""

    verified: Sequence[CheckedLayer]


@dataclass(frozen=True)
class Format:
    """How a packed network becomes a file, and what the file is good for.

    Attributes:
        suffix: Ending of the file, which says its format.
        about: Purpose and contents of the file, for the command's help.
        checks: The comparisons of ``check``, for the command's help.
        write: Writes a network to a path and returns the file's layers.
        check: Compares a file that ``write`` has made with its network.
        packages: Optional packages that writing needs, as they are imported.
        require: Raises an ImportError where something else is missing that writing,
            checking and reading need.
        check_packages: Those that checking needs as well.
        seal: Finds the place of the file's digest behind its name, 64 hexadecimal
            digits, see :mod:`cmim.deploy.seal`; None for files that keep it otherwise.
        beside: Endings of files that lie beside it and belong to it.
        rests: Forms that the layers beside the binary ones can have, each with the
            optional packages that it needs.
        read: ``(model config, path, identity)`` to a task model whose network is the
            file's; None where other programs run it.
    """

    suffix: str
    about: str
    checks: str
    write: Callable[[PackedNetwork, Path], list[WrittenLayer]]
    check: Callable[[PackedNetwork, Path], Checked]
    packages: tuple[str, ...] = ()
    require: Callable[[], object] = lambda: None
    check_packages: tuple[str, ...] = ()
    seal: re.Pattern[bytes] | None = None
    beside: tuple[str, ...] = ()
    rests: Mapping[str, tuple[str, ...]] = field(
        default_factory=lambda: {"float32": ()}
    )
    read: Callable[[dict, str, dict[str, Any]], BaseModel] | None = None

    def files(self, path: str | Path) -> list[Path]:
        """The file and those beside it."""
        return [Path(path), *(Path(path).with_suffix(each) for each in self.beside)]
