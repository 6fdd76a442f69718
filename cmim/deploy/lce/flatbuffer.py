"""Reads and changes a ``.tflite`` file: its operators, names and metadata.

Runs in the engine's Python, which has TensorFlow's description of these files.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

BINARY = "LceBconv2d"
# The entry of the metadata that holds this project's.
ENTRY = "cmim"
_FILE_KIND = b"TFL3"


@dataclass(frozen=True)
class WrittenOperator:
    """An operator of a file.

    Attributes:
        kind: As TensorFlow Lite names it, such as ``CONV_2D`` or ``LceBconv2d``.
        output: Shape of its output, the images counted.
        name: Of its output.
        weight: Shape of its second input where that is constant; empty if it is not.
        stored: The bytes of that.
    """

    kind: str
    output: tuple[int, ...]
    name: str
    weight: tuple[int, ...]
    stored: bytes


def read_model(data: bytes) -> Any:
    """The file's tables as objects."""
    from tensorflow.lite.python import schema_py_generated as schema

    return schema.ModelT.InitFromObj(schema.Model.GetRootAsModel(data, 0))


def operators_of(model: Any) -> Iterator[WrittenOperator]:
    """The operators, in the order in which they run."""
    from tensorflow.lite.python import schema_py_generated as schema

    names = {
        code: name
        for name, code in vars(schema.BuiltinOperator).items()
        if isinstance(code, int)
    }
    (graph,) = model.subgraphs
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        kind = code.customCode.decode() if code.customCode else names[number]
        output = graph.tensors[operator.outputs[0]]
        places = operator.inputs[1:2]
        second = graph.tensors[places[0]] if len(places) and places[0] >= 0 else None
        data = None if second is None else model.buffers[second.buffer].data
        stored = b"" if data is None else bytes(bytearray(data))
        yield WrittenOperator(
            kind,
            tuple(map(int, output.shape)),
            output.name.decode(),
            tuple(map(int, second.shape)) if stored and second is not None else (),
            stored,
        )


def rename(model: Any, inputs: Sequence[str], outputs: Sequence[str]) -> None:
    """Give the tensors that go in and out names of one's own."""
    (graph,) = model.subgraphs
    for places, names in ((graph.inputs, inputs), (graph.outputs, outputs)):
        for place, name in zip(places, names, strict=True):
            graph.tensors[place].name = name.encode()
    for signature in model.signatureDefs or []:
        for kept, names in ((signature.inputs, inputs), (signature.outputs, outputs)):
            for entry, name in zip(kept, names, strict=True):
                entry.name = name.encode()


def note(model: Any, values: dict[str, Any]) -> None:
    """Put plain values into the file's metadata, as JSON."""
    from tensorflow.lite.python import schema_py_generated as schema

    buffer = schema.BufferT()
    buffer.data = list(json.dumps(values).encode())
    model.buffers.append(buffer)
    entry = schema.MetadataT()
    entry.name, entry.buffer = ENTRY.encode(), len(model.buffers) - 1
    model.metadata = [*(model.metadata or []), entry]


def noted(model: Any) -> dict[str, Any] | None:
    """What :func:`note` has put there; None where nothing is, or no JSON object."""
    found = [e for e in model.metadata or [] if e.name == ENTRY.encode()]
    if len(found) != 1:
        return None
    try:
        values = json.loads(bytes(bytearray(model.buffers[found[0].buffer].data)))
    except (ValueError, TypeError, IndexError):
        return None
    return values if isinstance(values, dict) else None


def packed(model: Any) -> bytes:
    """The tables as a file."""
    import flatbuffers

    builder = flatbuffers.Builder(1 << 20)
    builder.Finish(model.Pack(builder), file_identifier=_FILE_KIND)
    return bytes(builder.Output())
