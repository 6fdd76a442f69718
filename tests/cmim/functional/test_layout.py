"""Tokens and vectors as maps."""

from __future__ import annotations

import pytest
import torch

from cmim.functional.layout import as_maps, channels_of


@pytest.mark.parametrize("image", [(64, 64), (48, 64), (96, 128), (100, 30), (33, 65)])
@pytest.mark.parametrize("patch", [4, 8])
@pytest.mark.parametrize("class_token", [False, True])
def test_tokens_lie_where_their_patches_do(image, patch, class_token):
    rows, columns = (-(-side // patch) for side in image)
    maps = torch.randn(2, 3, rows, columns)
    tokens = maps.flatten(2).mT
    if class_token:
        tokens = torch.cat([torch.zeros(2, 1, 3), tokens], dim=1)
    assert channels_of(tokens) == 3
    assert torch.equal(as_maps(tokens, image), maps)


def test_maps_stay_and_what_fills_no_grid_is_refused():
    maps = torch.zeros(2, 3, 5, 7)
    assert as_maps(maps, (8, 8)) is maps
    with pytest.raises(ValueError, match="13 tokens fill no grid"):
        as_maps(torch.zeros(1, 13, 4))
    with pytest.raises(ValueError, match="neither maps"):
        as_maps(torch.zeros(1, 2, 3, 4, 5))
