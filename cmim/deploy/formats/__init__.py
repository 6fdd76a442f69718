"""One format of exported networks per file: a module with ``FORMAT`` is one.

A module imports what it needs within its functions, so that the command's help needs no
package, and a network is read where only what its own format needs is installed.
"""

from __future__ import annotations

from pathlib import Path

from cmim.deploy.formats.format import Format
from cmim.naming import factories


def export_formats() -> dict[str, Format]:
    """All formats by name, in alphabetical order.

    Examples:
        >>> {name: known.suffix for name, known in export_formats().items()}
        {'npz': '.npz', 'onnx': '.onnx', 'openvino': '.xml', 'qonnx': '.qonnx',
        'tflite': '.tflite'}
    """
    return factories("cmim.deploy.formats", "FORMAT")


def format_of(path: str | Path) -> Format | None:
    """The format that a file's ending says, or None.

    Args:
        path: A file, which need not exist.

    Examples:
        >>> format_of("run/seg.onnx").suffix, format_of("run/last.pth")
        ('.onnx', None)
    """
    known = export_formats().values()
    return next((form for form in known if str(path).endswith(form.suffix)), None)


def rests() -> dict[str, list[str]]:
    """Forms of the layers beside the binary ones, and the files that have them.

    Examples:
        >>> rests()
        {'float32': ['.npz', '.onnx', '.xml', '.qonnx', '.tflite'], 'int8': ['.xml']}
    """
    found: dict[str, list[str]] = {}
    for form in export_formats().values():
        for rest in form.rests:
            found.setdefault(rest, []).append(form.suffix)
    return found
