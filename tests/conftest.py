"""Shared data: generated rooms and pictures, real data, values where gradients turn."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
# The tensors of tests are tiny: more threads only wait for each other.
torch.set_num_threads(1)
ROOT = Path(__file__).resolve().parents[1]
# They hold no doctests, and two modules of one name cannot be looked through.
collect_ignore = ["conftest.py", "cmim/suite/conftest.py"]


def pytest_collection_finish() -> None:
    """Let no garbage collection look through the tests themselves again.

    mmengine collects with each data set, which took 0.4 s among 12,000 tests.
    """
    gc.collect()
    gc.freeze()


def _skip_what_a_limit_forbids(error: Exception) -> None:
    """Skip a test that ended since ONEDNN_MAX_CPU_ISA leaves no binary convolution.

    That is so under SSE41 on CPUs with AVX-512, see tests/cmim/deploy/limited.py.
    """
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA")
    said = str(error)
    if limit and ("bad combination" in said or "no such binary convolution" in said):
        pytest.skip(f"the engine compiles no binary convolution under {limit} here")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    try:
        return (yield)
    except Exception as error:
        _skip_what_a_limit_forbids(error)
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item: pytest.Item) -> Iterator[None]:
    try:
        return (yield)
    except Exception as error:
        _skip_what_a_limit_forbids(error)
        raise


@pytest.fixture(scope="session")
def rooms(tmp_path_factory) -> Path:
    """24 rooms of 48x64 in the project's layout: 18 to train, 6 to test or so."""
    from tasks.datasets.prepare_nyud import prepare_nyud
    from tasks.datasets.rooms.frames import write_rooms

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


@pytest.fixture(scope="session")
def pictures(tmp_path_factory) -> Path:
    """CIFAR-10's folders with ten noisy pictures a class: 8 to train, 2 to test.

    Each class has its own brightness, so that a network can learn it.
    """
    import cv2

    from tasks.datasets.prepare_cifar10 import CIFAR10_CLASSES

    folder = tmp_path_factory.mktemp("pictures")
    random = np.random.default_rng(5)
    for label, name in enumerate(CIFAR10_CLASSES):
        for number in range(10):
            target = folder / ("train" if number < 8 else "test") / name
            target.mkdir(parents=True, exist_ok=True)
            noise = random.integers(0, 25, size=(32, 32, 3))
            picture = (25 * label + noise).astype(np.uint8)
            cv2.imwrite(str(target / f"{number:04d}.png"), picture)
    return folder


@pytest.fixture(scope="session")
def cifar10_zip() -> Path:
    """The real CIFAR-10 as JPEG files in a zip; skips where it is absent."""
    home = Path(os.environ.get("CMIM_DATA", ROOT.parent / "shared" / "data"))
    if not (home / "cifar10_jpeg.zip").is_file():
        pytest.skip("CIFAR-10 is not here; set CMIM_DATA to the folder with its zip")
    return home / "cifar10_jpeg.zip"


# Where surrogate gradients turn: zero, one half, one and its neighbours.
EDGES = (0.0, 0.5, 1.0 - 2**-53, 1.0, 1.0 + 2**-52, 2.5)


@pytest.fixture
def weights() -> np.ndarray:
    """Four filters of 18: both zeros, +-1 and its neighbours, one magnitude far out."""
    values = np.random.default_rng(0).normal(scale=0.7, size=(4, 2, 3, 3))
    edges = np.array([*EDGES, *(-np.array(EDGES))])
    values[0].reshape(-1)[: len(edges)] = edges
    values[3] *= 50
    return values


@pytest.fixture
def activations() -> np.ndarray:
    """``(3, 4, 3, 3)``: both zeros, 1/2, +-1 and its neighbours in every sample."""
    values = np.random.default_rng(1).normal(size=(3, 4, 3, 3))
    edges = np.array([*EDGES, *(-np.array(EDGES))])
    values.reshape(3, -1)[:, : len(edges)] = edges
    return values


@pytest.fixture
def upstream():
    """Gradient that comes back, of any shape."""
    return lambda shape: np.random.default_rng(2).normal(size=shape)
