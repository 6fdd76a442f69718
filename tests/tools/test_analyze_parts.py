"""What tools/analyze.py is made of: labels of checkpoints, t-SNE."""

from __future__ import annotations

import math
import sys

import pytest
import torch

from cmim.analysis import embedding
from cmim.engine.config import ConfigError
from cmim.inspect.analyze import label_checkpoints


def test_labels_of_checkpoints():
    paths = ["a/x/last.pth", "b/x/last.pth"]
    with pytest.raises(ConfigError, match="two checkpoints are called 'x'"):
        label_checkpoints(paths)
    assert label_checkpoints(paths, ["p", "q"]) == {"p": paths[0], "q": paths[1]}
    with pytest.raises(ConfigError, match="1 labels for 2 checkpoints"):
        label_checkpoints(paths, ["p"])


def test_missing_scikit_learn_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ImportError, match=r"cmim\[analysis\].*--no-tsne"):
        embedding.check_tsne()


def test_tsne_keeps_groups_apart():
    pytest.importorskip("sklearn")
    features = torch.randn(60, 5, generator=torch.Generator().manual_seed(0))
    features[30:] += 20
    found = embedding.tsne(features)
    assert torch.equal(found, embedding.tsne(features))
    near, far = found[:30].mean(0), found[30:].mean(0)
    spread = math.sqrt(found[:30].var(0).sum())
    assert (near - far).norm() > 2 * spread
