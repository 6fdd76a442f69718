"""Features as maps ``(N, C, H, W)``, in whatever layout a layer gives them."""

from __future__ import annotations

from torch import Tensor


def as_maps(x: Tensor, image: tuple[int, int] | None = None) -> Tensor:
    """Features of any layout as maps.

    Args:
        x: ``(N, C, H, W)``, which stays as it is; tokens ``(N, L, C)`` in rows, the
            first of which may belong to no place (a class token) and is then left out;
            or vectors ``(N, C)``.
        image: Height and width of the picture, whose aspect the grid of the tokens has;
            square when None.

    Returns:
        ``(N, C, H, W)``; of vectors ``(N, C, 1, 1)``.

    Raises:
        ValueError: Tokens that fill no such grid, or another number of dimensions.

    Examples:
        >>> import torch
        >>> as_maps(torch.zeros(2, 12, 5), image=(48, 64)).shape
        torch.Size([2, 5, 3, 4])
        >>> as_maps(torch.zeros(2, 17, 5)).shape
        torch.Size([2, 5, 4, 4])
        >>> as_maps(torch.zeros(2, 5)).shape
        torch.Size([2, 5, 1, 1])
    """
    if x.dim() == 4:
        return x
    if x.dim() == 2:
        return x[:, :, None, None]
    if x.dim() != 3:
        raise ValueError(
            f"features of shape {tuple(x.shape)} are neither maps (N, C, H, W) nor "
            "tokens (N, L, C) nor vectors (N, C)"
        )
    for skipped in (0, 1):
        grid = _grid(x.shape[1] - skipped, image or (1, 1))
        if grid is not None:
            return x[:, skipped:].transpose(1, 2).unflatten(2, grid)
    raise ValueError(
        f"{x.shape[1]} tokens fill no grid of the aspect of a picture of "
        f"{'x'.join(map(str, image or (1, 1)))} pixels"
    )


def _grid(tokens: int, image: tuple[int, int]) -> tuple[int, int] | None:
    """Rows and columns of so many square patches of a picture, if there are such."""
    height, width = image
    for rows in range(1, tokens + 1):
        columns = tokens // rows
        if rows * columns != tokens:
            continue
        # The side of a patch: the last row and column may be partial ones, or cut off.
        least = max(height / rows, width / columns)
        partial = least * (rows - 1) < height and least * (columns - 1) < width
        most = min(height / rows, width / columns)
        cut = most * (rows + 1) > height and most * (columns + 1) > width
        if partial or cut:
            return rows, columns
    return None


def channels_of(x: Tensor) -> int:
    """Channels of features of any layout.

    Args:
        x: As in :func:`as_maps`.

    Examples:
        >>> import torch
        >>> channels_of(torch.zeros(2, 5, 3, 4)), channels_of(torch.zeros(2, 12, 5))
        (5, 5)
    """
    return x.shape[1 if x.dim() == 4 else -1]
