"""A digest in an exported file, over it and what lies beside it.

Its format says where it stands (:attr:`cmim.deploy.formats.format.Format.seal`).

The engine reads whatever numbers stand in these files. A copy that was cut short, a
flipped bit or the ``.bin`` of another export would give wrong figures in silence.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from cmim.deploy.binary_layer import ExportError
from cmim.deploy.formats import format_of
from cmim.digest import sha256_of
from cmim.whole_output import write_whole

if TYPE_CHECKING:
    import openvino as ov

KEY = "sha256"
# The text in the digest's place while the digest is computed.
EMPTY = "0" * 64


def prepare_seal(model: ov.Model) -> None:
    """Make room for the digest, ``cmim/sha256``, in a model that is about to be saved.

    Args:
        model: To be written by ``openvino.save_model``.
    """
    model.set_rt_info(EMPTY, ["cmim", KEY])


def seal(path: str | Path) -> None:
    """Write the digest of saved files into them.

    Args:
        path: The ``.xml`` of a prepared model, whose ``.bin`` lies beside it; or an
            ``.onnx`` whose metadata hold ``EMPTY`` as ``cmim.sha256``.

    Raises:
        ExportError: The model was not prepared.
    """
    path = Path(path)
    text = path.read_bytes()
    _stored(path, text)
    digest = sha256_of(text, *_beside(path))
    write_whole(path, _place(path).sub(digest.encode(), text))


def check_seal(path: str | Path) -> None:
    """Refuse exported files that are not as they were written.

    Args:
        path: The ``.xml``, whose ``.bin`` lies beside it; or the ``.onnx``.

    Raises:
        ExportError: There is no digest, no ``.bin``, or the digest is another one.
    """
    path = Path(path)
    text, weights = path.read_bytes(), _beside(path)
    stored = _stored(path, text)
    for file in weights:
        if not file.is_file():
            raise ExportError(
                f"{path} lacks {file.name}, which holds its weights and must lie "
                "beside it: copy both, or export it again"
            )
    empty = _place(path).sub(EMPTY.encode(), text)
    if sha256_of(empty, *weights) != stored:
        both = " and ".join([str(path), *(file.name for file in weights)])
        raise ExportError(
            f"{both} are not as they were exported, by their digest: damaged, changed "
            "or of another export; copy all again, or export again"
        )


def _beside(path: Path) -> list[Path]:
    """Files beside it that belong to it."""
    form = format_of(path)
    return form.files(path)[1:] if form else []


def _place(path: Path) -> re.Pattern[bytes]:
    """What finds the digest in files of this ending."""
    form = format_of(path)
    if form is None or form.seal is None:
        raise ExportError(f"files such as {path} carry no digest of this kind")
    return form.seal


def _stored(path: Path, text: bytes) -> str:
    """The digest that a file's text holds."""
    found = _place(path).findall(text)
    if len(found) != 1:
        raise ExportError(
            f"{path} is no exported model with a digest, as tools/export.py writes it "
            "(since this version): export it again, from its checkpoint, by python "
            f"tools/export.py CONFIG CHECKPOINT --out {path.name}"
        )
    return found[0].decode()
