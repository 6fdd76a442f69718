"""Freed memory is kept, unless the environment says otherwise; in a process apart."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.full

ROOT = Path(__file__).resolve().parents[3]
FAULTS = """
import resource
import torch
from cmim.engine.allocator import keep_freed_memory
def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        tensors = [torch.zeros(1_000_000) for _ in range(20)]
        del tensors
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before
print(keep_freed_memory(), faults() and faults())
"""


def run(**environment: str) -> tuple[bool, int]:
    done = subprocess.run(
        [sys.executable, "-c", FAULTS],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    was_set, faults = done.stdout.split()
    return was_set == "True", int(faults)


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")
def test_pages_are_fetched_once():
    was_set, faults = run()
    assert was_set
    told, untouched = run(MALLOC_MMAP_THRESHOLD_="131072")
    assert not told
    # The second rounds find the pages of the first ones.
    assert faults < untouched / 10
