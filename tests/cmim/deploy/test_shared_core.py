"""Signals that Python handles do not kill a process that used the engine."""

from __future__ import annotations

import subprocess
import sys

import pytest

pytest.importorskip("openvino")

from cmim.deploy.shared_core import kept_signal_stack, shared_core, signal_stack

SCRIPT = """
import signal, numpy as np
from cmim.deploy.binary_layer import BinaryLayer, SignStep, SignTerm
from cmim.deploy.verify import compile_layer

step = SignStep(np.zeros(1, np.float32), -1.0, 1.0)
term = SignTerm(np.ones(8, np.float32), np.ones((8, 8, 1, 1), np.int8))
layer = BinaryLayer("one", (step,), (term,), (1, 1), (0, 0), (1, 1))
first = compile_layer(layer, (1, 8, 4, 4))
second = compile_layer(layer, (1, 8, 4, 4))
del first
del second
seen = []
signal.signal(signal.SIGUSR1, lambda *_: seen.append(1))
signal.raise_signal(signal.SIGUSR1)
print("alive", len(seen))
"""


def test_there_is_one_engine():
    assert shared_core() is shared_core()


@pytest.mark.full
def test_a_signal_after_compiled_networks_are_gone():
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=120
    )
    assert done.stdout == "alive 1\n", (done.returncode, done.stderr)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Linux's stack")
def test_the_stack_is_given_back():
    import openvino as ov

    before = signal_stack()
    with kept_signal_stack():
        other = ov.Core()
        other.get_property("CPU", "FULL_DEVICE_NAME")
        assert signal_stack() != before
    assert signal_stack() == before
    del other
