"""What losses on the class logits of student and teacher share."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from cmim.added_losses.added_loss import AddedLoss
from cmim.contrast.taps import Tap
from cmim.functional.alignment import resize_features
from cmim.task_model import describe


class ClassLogits(AddedLoss):
    """A loss on the one module that gives the logits.

    Args:
        weight: >= 0.
        taps: Name of the module that gives the logits, ``(N, K)`` or ``(N, K, h, w)``;
            that of the head whose classes the data name, else of another head with
            classes, when None.

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
                f"'{self.names[0]}' has {classes} output, no classes: leave it out"
            )

    def logits(
        self, student: Mapping[str, Tap], teacher: Mapping[str, Tensor]
    ) -> tuple[Tensor, Tensor]:
        """Those of both; maps of the teacher's on the grid of the student's.

        Raises:
            ValueError: Other numbers of classes.
        """
        (name,) = self.names
        ours, theirs = student[name].binary, teacher[name]
        if ours.shape[1] != theirs.shape[1]:
            raise ValueError(
                f"added loss {self.name!r}: '{name}' has {ours.shape[1]} classes and "
                f"its partner in the teacher {theirs.shape[1]}; the two networks must "
                "answer the same question: choose a teacher of these classes, or "
                "FeatureDistillationLoss"
            )
        if ours.dim() == theirs.dim() == 4:
            theirs = resize_features(theirs, (ours.shape[2], ours.shape[3]))
        return ours, theirs

    def default_taps(self, model: nn.Module) -> list[str]:
        heads = describe(model).heads.values()
        modules = dict(model.named_modules())
        found = [head for head in heads if head.answer in modules]
        found.sort(key=lambda head: not head.kind.of_data_classes)
        if not found:
            raise ValueError(
                f"added loss {self.name!r} found no logits: the model has no head "
                "that gives any; name the module in its taps"
            )
        if all(head.kind.regression for head in found):
            raise ValueError(
                f"added loss {self.name!r} compares class distributions, and the "
                f"model has no classes: it is of no use for {found[0].task}; leave it "
                "out"
            )
        return [next(h.answer for h in found if not h.kind.regression)]
