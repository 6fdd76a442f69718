"""A digest in an exported model's ``.xml``, over the ``.xml`` and its ``.bin``.

The engine reads whatever numbers stand in these files. A copy that was cut short, a
flipped bit or the ``.bin`` of another export would give wrong figures in silence.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import openvino as ov

from cmim.deploy.binary_layer import ExportError
from cmim.digest import sha256_of

KEY = "sha256"
# What stands in the digest's place while it is computed.
_EMPTY = "0" * 64
_SEAL = re.compile(rb'<sha256 value="([0-9a-f]{64})"')


def prepare_seal(model: ov.Model) -> None:
    """Make room for the digest, ``cmim/sha256``, in a model that is about to be saved.

    Args:
        model: To be written by ``openvino.save_model``.
    """
    model.set_rt_info(_EMPTY, ["cmim", KEY])


def seal(path: str | Path) -> None:
    """Write the digest of saved files into their ``.xml``.

    Args:
        path: The ``.xml`` of a prepared model; its ``.bin`` lies beside it.

    Raises:
        ExportError: The model was not prepared.
    """
    path = Path(path)
    text = path.read_bytes()
    _place(path, text)
    digest = sha256_of(text, path.with_suffix(".bin"))
    temporary = path.with_name(f".{path.name}.part")
    temporary.write_bytes(_SEAL.sub(f'<{KEY} value="{digest}"'.encode(), text))
    os.replace(temporary, path)


def check_seal(path: str | Path) -> None:
    """Refuse exported files that are not as they were written.

    Args:
        path: The ``.xml``; its ``.bin`` lies beside it.

    Raises:
        ExportError: There is no digest, no ``.bin``, or the digest is another one.
    """
    path = Path(path)
    weights = path.with_suffix(".bin")
    text = path.read_bytes()
    stored = _place(path, text)
    if not weights.is_file():
        raise ExportError(
            f"{path} lacks {weights.name}, which holds its weights and must lie beside "
            "it: copy both, or export it again"
        )
    empty = _SEAL.sub(f'<{KEY} value="{_EMPTY}"'.encode(), text)
    if sha256_of(empty, weights) != stored:
        raise ExportError(
            f"{path} and {weights.name} are not as they were exported, by their "
            "digest: one of them is damaged, changed or of another export; copy both "
            "again, or export again"
        )


def _place(path: Path, text: bytes) -> str:
    found = _SEAL.findall(text)
    if len(found) != 1:
        raise ExportError(
            f"{path} is no OpenVINO model with a digest, as tools/export.py writes it "
            "(since this version): export it again"
        )
    return found[0].decode()
