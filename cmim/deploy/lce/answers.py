"""What the engine's process is asked: to convert, to compare layers, to run files."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from cmim.deploy.lce import flatbuffer
from cmim.deploy.lce.compare import compare_layers
from cmim.deploy.lce.convert import convert_network, operator_counts
from cmim.deploy.lce.layout import channels_first, channels_last
from cmim.deploy.lce.operators import TranslationError
from cmim.deploy.numpy_reference import RawNetworkError, load_network

Answer = tuple[dict[str, Any], Sequence[np.ndarray]]


class Answers:
    """Answers requests; what goes wrong is the answer's ``error``."""

    def __init__(self) -> None:
        self.opened: dict[str, Any] = {}

    def __call__(self, message: dict[str, Any], arrays: list[np.ndarray]) -> Answer:
        """The answer to a message: plain values and arrays."""
        try:
            return getattr(self, f"do_{message['do']}")(message, arrays)
        except (TranslationError, RawNetworkError, OSError) as error:
            return dict(error=str(error)), []
        except Exception as error:
            said = f"{type(error).__name__}: {error}"
            return dict(error=said, traceback=traceback.format_exc()), []

    def do_convert(self, message: dict[str, Any], arrays: Any) -> Answer:
        """Write the file ``out`` of the raw network ``program``."""
        data, rows = convert_network(
            load_network(message["program"]),
            message["batch"],
            message["outputs"],
            message["notes"],
        )
        Path(message["out"]).write_bytes(data)
        return dict(layers=rows, operators=operator_counts(data)), []

    def do_compare(self, message: dict[str, Any], arrays: list[np.ndarray]) -> Answer:
        """Compare the binary layers of ``program`` with integers, on their inputs."""
        network = load_network(message["program"])
        return dict(rows=compare_layers(network, arrays)), []

    def do_open(self, message: dict[str, Any], arrays: Any) -> Answer:
        """Load a file to be run; its notes and shapes, channels last."""
        from larq_compute_engine.tflite.python.interpreter import Interpreter

        data = Path(message["path"]).read_bytes()
        engine = Interpreter(data, num_threads=message["threads"])
        self.opened[message["path"]] = engine.interpreter
        return dict(
            notes=flatbuffer.noted(flatbuffer.read_model(data)),
            input=list(map(int, engine.input_shapes[0])),
            outputs=[list(map(int, shape)) for shape in engine.output_shapes],
        ), []

    def do_run(self, message: dict[str, Any], arrays: list[np.ndarray]) -> Answer:
        """Outputs of an opened file for images, both channels first."""
        outputs = self.opened[message["path"]].predict([channels_last(arrays[0])])
        return {}, [channels_first(np.asarray(found)) for found in outputs]
