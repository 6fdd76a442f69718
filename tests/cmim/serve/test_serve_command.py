"""The command: what it needs, what it says, and that it serves real networks."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest
from in_process import ROOT, run_in_process
from serve_cases import png

from cmim import optional_packages
from cmim.serve.listen import listen, url_of
from cmim.serve.naming import names_of, pairs_of


def test_a_missing_package_is_one_sentence(monkeypatch):
    known = optional_packages.is_installed
    monkeypatch.setattr(
        optional_packages, "is_installed", lambda n: n != "fastapi" and known(n)
    )
    done = run_in_process("serve", "rooms_seg_bireal", "last.pth")
    assert done.returncode == 2
    assert "the page needs fastapi" in done.stderr
    assert "pip install 'cmim[serve]'" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rooms_seg_bireal"], "1 words name the networks; give a config and a file"),
        (["a", "b", "--names", "x", "y"], "2 names are given for 1 networks"),
        (["a", "b", "--host", "example.org"], "host 'example.org' is no address"),
        (["a", "b", "--port", "70000"], "port 70000 is no port"),
        (["a", "b", "--seconds", "0"], "'0'"),
        (["rooms_seg_bireal", "none.pth", "--port", "0"], "none.pth"),
    ],
)
def test_what_is_wrong_is_said(words, said):
    for package in ("fastapi", "uvicorn"):
        pytest.importorskip(package, reason="pip install 'cmim[serve]'")
    if "--port" not in words:
        words = [*words, "--port", "0"]
    done = run_in_process("serve", *words)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_said():
    with listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen at 127.0.0.1 port {port}"):
            listen("127.0.0.1", port)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "::1"])
def test_addresses_are_shown_as_a_browser_takes_them(host):
    if not socket.has_ipv6 and ":" in host:
        pytest.skip("this machine has no IPv6")
    try:
        listening = listen(host, 0)
    except OSError as error:
        pytest.skip(f"this machine does not let one listen there: {error}")
    with listening:
        port = listening.getsockname()[1]
        local = "[::1]" if ":" in host else "127.0.0.1"
        assert url_of(listening) == f"http://{local}:{port}"


def test_names_are_made_of_what_differs():
    assert pairs_of(["a", "b"]) == [("a", "b")]
    with pytest.raises(ValueError, match="given twice"):
        names_of([("a", "b"), ("a", "b")])
    with pytest.raises(ValueError, match="two networks are called 'x'"):
        names_of([("a", "b"), ("c", "d")], ["x", "x"])


@pytest.mark.full
def test_a_process_serves_a_network_until_it_is_interrupted(tmp_path):
    for package in ("fastapi", "uvicorn"):
        pytest.importorskip(package, reason="pip install 'cmim[serve]'")
    import torch
    from mmseg.registry import MODELS

    from cmim.engine.config import load_config, task_model_config
    from cmim.identity import identity_of

    config = load_config("rooms_seg_bireal")
    weights = MODELS.build(task_model_config(config)).state_dict()
    whole = dict(state_dict=weights, identity=identity_of(config))
    torch.save(whole, tmp_path / "last.pth")
    line = ["tools/serve.py", "rooms_seg_bireal", str(tmp_path / "last.pth")]
    process = subprocess.Popen(
        [sys.executable, *line, "--port", "0", "--names", "ours"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        said = process.stdout.readline()
        assert said.startswith("the page: http://127.0.0.1:"), said
        request = urllib.request.Request(
            f"{said.split()[2]}/api/predict",
            data=png(60, 80),
            headers={"content-type": "image/png"},
        )
        with urllib.request.urlopen(request, timeout=60) as response:
            answer = json.load(response)
    finally:
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
    assert answer["network"] == "ours"
    (view,) = answer["views"]
    assert (view["task"], view["size"]) == ("seg", [120, 160, 1])
    assert "Traceback" not in errors
    assert not list(tmp_path.glob("*.png"))
