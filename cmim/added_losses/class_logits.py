"""What losses on the class logits of student and teacher share."""

from __future__ import annotations

from torch import nn

from cmim.added_losses.added_loss import AddedLoss

# Classification, segmentation, segmentation beside other tasks.
LOGITS = ("head.fc", "decode_head.conv_seg", "heads.seg.conv_seg")


class ClassLogits(AddedLoss):
    """A loss on the one module that gives the logits.

    Args:
        weight: >= 0.
        taps: Name of the module that gives the logits, ``(N, K)`` or ``(N, K, h, w)``;
            the first of ``LOGITS`` that there is when None.

    Raises:
        ValueError: No such module, several, or one without classes (depth).
    """

    needs_teacher = True

    def attach(self, model: nn.Module) -> None:
        super().attach(model)
        if len(self.names) != 1:
            raise ValueError(
                f"added loss {self.name!r} taps the one module that gives the logits, "
                f"and {len(self.names)} fit: {', '.join(self.names)}"
            )
        module = model.get_submodule(self.names[0])
        classes = getattr(module, "out_channels", getattr(module, "out_features", 2))
        if classes < 2:
            raise ValueError(
                f"added loss {self.name!r} compares class distributions, and "
                f"'{self.names[0]}' has {classes} output, no classes: it is of no use "
                "for depth; leave it out"
            )

    def default_taps(self, model: nn.Module) -> list[str]:
        modules = dict(model.named_modules())
        found = [name for name in LOGITS if name in modules]
        if not found:
            raise ValueError(
                f"added loss {self.name!r} found no logits: the model has neither "
                f"{' nor '.join(LOGITS)}; name the module in its taps"
            )
        return found[:1]
