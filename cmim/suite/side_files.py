"""What lies beside a record: sums of its test images, ``KEY.sums.npz``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from cmim.engine.image_sums import FILE, SumsError, read_sums, sums_digest
from cmim.whole_output import write_whole


def sums_beside(record: Path) -> Path:
    """Where the sums of a record's test images lie.

    Examples:
        >>> sums_beside(Path("results/small/0a1b.json")).as_posix()
        'results/small/0a1b.sums.npz'
    """
    return record.with_suffix(".sums.npz")


def keep_sums(folder: Path, record: Path) -> dict[str, Any] | None:
    """Copy the sums of a run's test images beside its record to be.

    Args:
        folder: The run's folder.
        record: Path of the record.

    Returns:
        What the record says of them: ``digest``; None where the metrics keep none.
    """
    path = folder / FILE
    if not path.is_file():
        return None
    found = read_sums(path)
    write_whole(sums_beside(record), path.read_bytes())
    return dict(digest=sums_digest(found))


def sums_of(record: Mapping[str, Any]) -> dict[str, NDArray]:
    """The sums of a record's test images by figure; empty where there are none.

    Args:
        record: As :func:`cmim.suite.record.read_records` gives it.

    Raises:
        SumsError: The file is damaged, or not the one that the run has written.
    """
    said, path = record.get("sums"), record.get("path")
    if not said or path is None or not sums_beside(Path(path)).is_file():
        return {}
    beside = sums_beside(Path(path))
    found = read_sums(beside)
    if sums_digest(found) != said["digest"]:
        raise SumsError(
            f"'{beside}' is not what run {record['key']} has written: its digest is "
            "another one; get it again, or move it away to do without"
        )
    return found
