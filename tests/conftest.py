"""Shared data: a small set of generated rooms, prepared as NYUv2 is."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def rooms(tmp_path_factory) -> Path:
    """24 rooms of 48x64 in the project's layout: 18 to train, 6 to test or so."""
    from tasks.datasets.prepare_nyud import prepare_nyud
    from tasks.datasets.rooms import write_rooms

    folder = tmp_path_factory.mktemp("rooms")
    raw = folder / "raw"
    write_rooms(raw, 24, size=(48, 64), seed=1, progress=False)
    prepare_nyud(
        raw / "nyu_depth_v2_labeled.mat",
        raw / "splits.mat",
        raw / "classMapping40.mat",
        folder / "prepared",
        progress=False,
    )
    return folder / "prepared"


@pytest.fixture(scope="session")
def nyuv2() -> Path:
    """The real NYUv2 in the folder form; skips where it is absent."""
    home = Path(os.environ.get("CMIM_DATA", ROOT.parent / "shared" / "data"))
    if not (home / "nyuv2" / "train.txt").is_file():
        pytest.skip("NYUv2 is not here; set CMIM_DATA to the folder that holds nyuv2/")
    return home / "nyuv2"
