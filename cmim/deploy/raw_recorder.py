"""What handlers of ATen operators note down: steps, and the values between them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from torch import Tensor

from cmim.deploy.binary_layer import BinaryLayer, ExportError
from cmim.deploy.raw_program import Step


@dataclass(frozen=True)
class Value:
    """A value that a step makes: its name, and its shape without the images."""

    name: str
    shape: tuple[int, ...]


@dataclass
class Recorder:
    """Steps so far; of the operator at hand, who called it and the shape it gives."""

    layers: dict[str, BinaryLayer]
    steps: list[Step] = field(default_factory=list)
    shape: tuple[int, ...] = ()
    caller: str = ""

    def add(
        self,
        op: str,
        inputs: Sequence[Value],
        options: dict[str, Any] | None = None,
        **arrays: Tensor | np.ndarray,
    ) -> Value:
        """Note a step that gives the shape at hand."""
        value = Value(f"v{len(self.steps)}", self.shape)
        stored = {name: _float32(array) for name, array in arrays.items()}
        names = tuple(x.name for x in inputs)
        self.steps.append(
            Step(op, names, value.name, value.shape, options or {}, stored, self.caller)
        )
        return value

    def constant(self, like: Value, values: Tensor) -> Value:
        """A map that does not depend on the image, of as many axes as ``like``."""
        missing = len(like.shape) + 1 - values.dim()
        values = values.reshape(*[1] * missing, *values.shape)
        refuse_unless(len(values) == 1, "constant that differs between images")
        kept, self.shape = self.shape, tuple(values.shape[1:])
        made = self.add("constant", [], value=values[0])
        self.shape = kept
        return made


def _float32(array: Tensor | np.ndarray) -> np.ndarray:
    if isinstance(array, Tensor):
        array = array.detach().cpu().numpy()
    return np.ascontiguousarray(array, dtype=np.float32)


def pair_of(value: int | Sequence[int]) -> list[int]:
    numbers = [value] if isinstance(value, int) else [int(v) for v in value]
    return numbers * 2 if len(numbers) == 1 else numbers


def refuse_unless(condition: bool, what: str) -> None:
    if not condition:
        raise ExportError(f"the raw format has no {what}")


def axis_of(x: Value, axis: int) -> int:
    """An axis that does not count the images."""
    axis = axis % (len(x.shape) + 1)
    refuse_unless(axis > 0, "operation over the images of a batch")
    return axis - 1
