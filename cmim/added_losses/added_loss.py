"""What every added loss promises: which modules it reads, and one scalar."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from mmseg.registry import MODELS
from torch import Tensor, nn

from cmim.contrast import ActivationTaps
from cmim.contrast.taps import Tap
from cmim.naming import factories, make_named


class AddedLoss(nn.Module, ABC):
    """A loss on the activations of a task model, from the config alone.

    The wrapper attaches it to the model, and gives it in each training step what the
    tapped modules saw: student and teacher run once, whatever reads them.

    Args:
        weight: Factor of the loss, >= 0.
        taps: Glob pattern or patterns of module names, shallow to deep; or, for a loss
            that reads the teacher, its modules by the student's; what the loss reads by
            default when None.

    Attributes:
        name: Name in the log (``cmim.loss_<name>``) and in the state.
        needs_teacher: Reads the full-precision twin too.
        names: The tapped modules, once attached.
        pairs: Modules of the teacher by those of the student, where ``taps`` has them.

    Raises:
        ValueError: A negative weight, or modules of a teacher that is not read.
    """

    name: ClassVar[str]
    needs_teacher: ClassVar[bool] = False

    def __init__(
        self, weight: float, taps: str | Sequence[str] | Mapping[str, str] | None
    ) -> None:
        super().__init__()
        if not weight >= 0:
            raise ValueError(
                f"added loss {self.name!r}: weight must not be negative, got {weight}"
            )
        self.pairs = dict(taps) if isinstance(taps, Mapping) else {}
        if self.pairs and not self.needs_teacher:
            raise ValueError(
                f"added loss {self.name!r}: taps {self.pairs!r} pair modules with a "
                "teacher's, and it reads none; list the names alone"
            )
        self.weight = weight
        named = [taps] if isinstance(taps, str) else taps
        self.taps = None if named is None else list(named)
        self.names: list[str] = []

    def attach(self, model: nn.Module) -> None:
        """Find the modules to tap.

        Args:
            model: The task model.

        Raises:
            ValueError: They are not there, or this loss can do nothing with them.
        """
        patterns = self.default_taps(model) if self.taps is None else self.taps
        self.names = ActivationTaps(model, patterns).names

    def bridge(self, own: Mapping[str, int], theirs: Mapping[str, int]) -> None:
        """Take notice of a teacher whose channels may be others.

        Called once, behind :meth:`attach`. Losses that compare channel by channel make
        what they need for it here.

        Args:
            own: Channels of the tapped modules of the student's encoder that run.
            theirs: Channels of their partners.
        """

    def reached(self, student: Mapping[str, Tap]) -> list[str]:
        """Names of the tapped modules that ran; others stand behind what heads read.

        Args:
            student: What each tapped module of the task model saw.

        Raises:
            ValueError: None of them ran.
        """
        names = [name for name in self.names if name in student]
        if not names:
            raise ValueError(
                f"added loss {self.name!r} taps {', '.join(self.names)}, which the "
                "model does not run: name modules in front of its heads in its taps"
            )
        return names

    @abstractmethod
    def default_taps(self, model: nn.Module) -> list[str]:
        """Names of the modules to tap where the config says nothing."""

    @abstractmethod
    def forward(
        self, student: Mapping[str, Tap], teacher: Mapping[str, Tensor]
    ) -> Tensor:
        """The weighted loss of one step.

        Args:
            student: What each tapped module of the task model saw.
            teacher: Output of the same modules of the twin, or of their partners, by
                the names of the student's; empty for a loss that needs no teacher.
        """


def available_added_losses() -> list[str]:
    """Names of all added losses, sorted.

    Examples:
        >>> {"activation_spread", "lipschitz"} <= set(available_added_losses())
        True
    """
    return sorted(factories("cmim.added_losses", "ADDED_LOSS"))


def make_added_loss(config: str | dict) -> AddedLoss:
    """The added loss that a config names, attached to nothing yet.

    Args:
        config: A name, or ``dict(type=NAME, **options)``. A class that mmseg's registry
            knows, and its name, are accepted as well.

    Raises:
        ValueError: Unknown name or option; the message lists what exists.

    Examples:
        >>> make_added_loss(dict(type="activation_spread", weight=1.0)).weight
        1.0
        >>> type(make_added_loss("ActivationSpreadLoss")).__name__
        'ActivationSpreadLoss'
    """
    # Looking them up imports them, which registers their classes.
    known = factories("cmim.added_losses", "ADDED_LOSS")
    entry = dict(config) if isinstance(config, dict) else {"type": config}
    kind = entry.get("type")
    if isinstance(kind, str) and kind in known:
        entry["name"] = entry.pop("type")
    if "name" in entry:
        loss: AddedLoss = make_named("added loss", known, entry)
        return loss
    cls = MODELS.get(kind) if isinstance(kind, str) else kind
    if not (isinstance(cls, type) and issubclass(cls, AddedLoss)):
        raise ValueError(
            f"added loss {kind!r} is unknown; choose from {', '.join(sorted(known))}"
        )
    built: AddedLoss = MODELS.build(entry)
    return built


class AddedLosses(nn.ModuleDict):
    """The losses of one wrapper, by name, attached to its task model.

    Args:
        configs: One config or several, see :func:`make_added_loss`.
        model: The task model.

    Raises:
        ValueError: Something that is no added loss, or one of them twice.

    Examples:
        >>> AddedLosses("spread", nn.Identity())
        Traceback (most recent call last):
        ValueError: added loss 'spread' is unknown; choose from activation_spread, ...
    """

    def __init__(
        self, configs: str | dict | Sequence[str | dict], model: nn.Module
    ) -> None:
        super().__init__()
        for entry in [configs] if isinstance(configs, (str, dict)) else configs:
            loss = make_added_loss(entry)
            if loss.name in self:
                raise ValueError(
                    f"added loss '{type(loss).__name__}' is listed twice; list it "
                    "once, with all its taps"
                )
            loss.attach(model)
            self[loss.name] = loss

    def _each(self) -> list[AddedLoss]:
        return [v for v in self.values() if isinstance(v, AddedLoss)]

    def names(self) -> list[str]:
        """All modules of the task model that are tapped."""
        return [name for loss in self._each() for name in loss.names]

    def teacher_names(self) -> dict[str, list[str]]:
        """What needs the teacher, and which of its modules."""
        return {
            f"added loss {loss.name!r}": loss.names
            for loss in self._each()
            if loss.needs_teacher
        }

    def pairs(self) -> dict[str, dict[str, str]]:
        """Who names partners in the teacher, and which."""
        return {f"added loss {v.name!r}": v.pairs for v in self._each() if v.pairs}

    def bridge(self, own: Mapping[str, int], theirs: Mapping[str, int]) -> None:
        """See :meth:`AddedLoss.bridge`."""
        for loss in self._each():
            loss.bridge(own, theirs)

    def forward(
        self, student: Mapping[str, Tap], teacher: Mapping[str, Tensor]
    ) -> dict[str, Tensor]:
        """One entry a loss, see :meth:`AddedLoss.forward`."""
        return {f"cmim.loss_{v.name}": v(student, teacher) for v in self._each()}
