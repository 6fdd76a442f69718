"""Reads files of ``torch.save`` that are whole, and runs nothing in them."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import torch

from cmim.digest import sha256_of
from cmim.pickle_sizes import ArchiveError, UnsafePickleError
from cmim.torch_archive import SIGNATURE, check_archive

# How files begin that torch wrote before version 1.6.
LEGACY_SIGNATURE = bytes.fromhex("80028a0a6cfc9c46f9206aa850192e")
# torch.hub's rule: NAME-DIGEST.pth; a date has no letters.
_DIGEST = re.compile(r"-(?=[0-9a-f]*[a-f])([0-9a-f]{8,64})\.")
_UNSAFE = (
    "is not a plain checkpoint of tensors; only files that load with "
    "torch.load(weights_only=True) are accepted"
)
_ADVICE = "use another copy or train again"


def is_address(path: str | Path) -> bool:
    """Whether something names a place elsewhere: ``https://``, ``torchvision://``.

    Examples:
        >>> is_address("s3://bucket/last.pth"), is_address("runs/last.pth")
        (True, False)
    """
    return "://" in str(path)


def load_torch_file(path: Path) -> Any:
    """What ``torch.save`` has written, on the CPU, if it is whole and safe.

    Every record must have the checksum that was saved with it, and be as large as its
    tensors say, see :func:`cmim.torch_archive.check_archive`. torch's format from
    before version 1.6 has no checksums: it is read only where the file's name ends with
    the beginning of its SHA-256, as those of torchvision's files do.

    Args:
        path: An existing file.

    Raises:
        ArchiveError: Damaged, unsafe or larger inside than it is; says what, as the end
            of a sentence about the file.
    """
    try:
        with path.open("rb") as file:
            head = file.read(len(LEGACY_SIGNATURE))
        if head.startswith(SIGNATURE):
            check_archive(path)
        elif head.startswith(LEGACY_SIGNATURE):
            _check_legacy(path)
        elif not SIGNATURE.startswith(head) and not LEGACY_SIGNATURE.startswith(head):
            raise UnsafePickleError
        return torch.load(path, map_location="cpu", weights_only=True)
    except (UnsafePickleError, pickle.UnpicklingError) as error:
        # torch's own text advises to switch the protection off: not quoted.
        raise ArchiveError(_UNSAFE) from error
    except ArchiveError as error:
        raise ArchiveError(f"{error}; {_ADVICE}") from error
    except Exception as error:
        # The unpickler fails in any way where a damaged stream happens to lead it.
        raise ArchiveError(f"is damaged or half-written; {_ADVICE}") from error


def _check_legacy(path: Path) -> None:
    """Refuse a file without checksums whose name does not say its digest."""
    named = _DIGEST.search(path.name)
    if named is None:
        raise ArchiveError(
            "is in torch's format from before version 1.6, in which damage cannot be "
            "seen: if this copy is whole, write it anew by "
            "torch.save(torch.load(FILE, weights_only=True), NEW)"
        )
    digest = sha256_of(path)
    if not digest.startswith(named[1]):
        raise ArchiveError(
            f"is damaged: its SHA-256 begins with {digest[: len(named[1])]}, and its "
            f"name says {named[1]}"
        )
