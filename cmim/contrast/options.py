"""What all contrastive losses are told, and what they see of a batch."""

from __future__ import annotations

from dataclasses import dataclass, fields

from torch import Tensor

from cmim.functional.score_sums import CHUNK
from cmim.naming import check_kind

LEVELS = ("pixel", "image")
SAMPLINGS = ("uniform", "per_class", "edges")


@dataclass(frozen=True)
class ContrastOptions:
    """Options that the losses share; each says which of them it uses.

    Args:
        projection: Length of the projections.
        level: ``'pixel'``: samples are places of feature maps. ``'image'``: samples are
            whole images, features averaged over their places.
        pixels: Anchors an image at pixel level.
        sampling: Where anchors lie: ``'uniform'``; ``'per_class'``, every class of an
            image as often as another; ``'edges'``, mostly where labels change.
        temperature: tau > 0.
        queue: Past projections kept as further negatives.
        gather: Negatives from all processes, not only the own one.
        stop_gradient: No gradient into the full-precision side.
        chunk: Candidates scored at a time; more is not faster, less is less memory.

    Raises:
        ValueError: A value out of range.
    """

    projection: int = 64
    level: str = "pixel"
    pixels: int = 32
    sampling: str = "uniform"
    temperature: float = 0.1
    queue: int = 0
    gather: bool = True
    stop_gradient: bool = True
    chunk: int = CHUNK

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            check_kind("the contrastive loss", field.name, field.type, value)
        for name in ("projection", "pixels", "temperature", "chunk"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if self.temperature == float("inf"):
            raise ValueError("temperature must be finite, got inf")
        if self.queue < 0:
            raise ValueError(f"queue must not be negative, got {self.queue}")
        for name, known in (("level", LEVELS), ("sampling", SAMPLINGS)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"{name} {getattr(self, name)!r} is unknown; "
                    f"choose from {', '.join(known)}"
                )

    def refuse_unused(self, loss: str, used: set[str]) -> None:
        """Refuse options that a loss would ignore.

        Args:
            loss: Its name, for the message.
            used: Names of the options it uses.

        Raises:
            ValueError: Another option is not at its default.

        Examples:
            >>> ContrastOptions(queue=9).refuse_unused("simsiam", {"pixels"})
            Traceback (most recent call last):
            ValueError: loss 'simsiam' does not use queue, which is 9: leave ...
        """
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name not in used and value != field.default:
                raise ValueError(
                    f"loss {loss!r} does not use {field.name}, which is {value!r}: "
                    f"leave it out (model.{field.name}=None in a config), or choose "
                    "another loss"
                )


@dataclass(frozen=True)
class BatchLabels:
    """What is known of the images of a batch besides their features.

    Args:
        exclude: ``(N, H, W)`` int64, -1 for unknown: only pixels known to carry another
            label are negatives; None to take all. One value an image: ``(N, 1, 1)``.
        regions: ``(N, H, W)`` int64, -1 for unknown, for sampling by class or edges.
        classes: ``(N,)`` int64 class of each image.
        indices: ``(N,)`` int64 place of each image in its data set.
    """

    exclude: Tensor | None = None
    regions: Tensor | None = None
    classes: Tensor | None = None
    indices: Tensor | None = None
