"""The table of networks: figures are those of the cost table, refusals have names."""

from __future__ import annotations

import argparse

import pytest
import torch

from cmim.analysis.cost import layer_costs, totals
from cmim.bench.networks import BENCH, format_row, network_row
from cmim.encoders import BinarizedEncoder

NAME = "torchvision/mobilenet_v3_small"


def parse(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    BENCH.add_options(parser)
    return parser.parse_args(words)


@pytest.mark.full
def test_a_row_says_what_became_of_a_network(capsys):
    figures = BENCH.measure(parse(NAME, "--size", "64", "96"))
    (row,) = figures["networks"]
    encoder = BinarizedEncoder(NAME, "reactnet").eval()
    binary = [r for r in encoder.rows if r.became]
    assert row["binary"] == row["exported"] == len(binary)
    assert row["kept"] == len(encoder.rows) - len(binary)
    cost = totals(layer_costs(encoder, torch.zeros(1, 3, 64, 96)))
    assert row["totals"] == cost
    assert row["before"]["flops"] == cost["bops"] + cost["flops"]
    assert row["refused"] == ""
    header, line = capsys.readouterr().out.splitlines()
    assert header.split() == [
        *("encoder", "binary", "kept", "GOPs", "before", "Mbit", "before", "exported")
    ]
    assert line.split()[:3] == [NAME, str(row["binary"]), str(row["kept"])]
    assert line.endswith(f"{len(binary)} layers")


def test_a_refusal_stands_in_the_line():
    cost = dict(ops=2e9, memory_mbit=8.0)
    row = dict(network="a/b", binary=1, kept=2, totals=cost, before=cost, exported=0)
    line = format_row({**row, "refused": "x.conv: its groups have 4 channels"})
    assert line.endswith("refused, x.conv: its groups have 4 channels")
    assert "2.000" in line


def test_unknown_networks_are_refused():
    with pytest.raises(ValueError, match="torchvision has no network 'resnet51'"):
        network_row("torchvision/resnet51", "reactnet", (64, 64))
