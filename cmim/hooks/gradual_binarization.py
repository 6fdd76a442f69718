"""Makes a converted network binary little by little."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from torch import nn

from cmim.convert import ConvertedLayer, Phase
from cmim.encoders import BinarizedEncoder
from cmim.layers import BinaryWeightLayer

ORDERS = ("shallow_first", "deep_first", "activations_first")
# What a checkpoint says of layers that are not binary yet, in its ``meta``.
RECORD = "gradual_binarization"


@HOOKS.register_module()
class GradualBinarization(Hook):
    r"""Binarize the layers of a converted network one part after the other.

    With ``'shallow_first'`` and ``'deep_first'`` the layers form parts of equal size in
    the order of the network. Part k of K becomes binary at step

    .. math:: s_k = \mathrm{round}(end \cdot \mathit{max\_iters} \cdot k / (K - 1))

    and is placed from that step's batch (:func:`cmim.convert.place_converted`); until
    then training computes it in full precision with its latent weights. With
    ``'activations_first'`` activations are binary from the first step on, and weights
    from step :math:`\mathrm{round}(end \cdot \mathit{max\_iters})` on, with a gain and
    a bias that keep each channel's mean and deviation. ReActNet trains in that order.

    What a layer computes is a function of the step, so that a resumed run ends in the
    same bits. Evaluation and export are always fully binary: before the end figures say
    little, and validations, checkpoints and what reads these say so. Activation
    binarizers of layers that wait do not run, so that losses which tap them (``partner=
    'latent'``) have no entry until then. In several processes parameters of layers that
    wait have no gradient: set ``find_unused_parameters=True``.

    Args:
        order: ``'shallow_first'``, ``'deep_first'`` or ``'activations_first'``.
        end: Share of the run after which all is binary, between 0 and 1.
        parts: How many parts, at least 2; not read with ``'activations_first'``.

    Raises:
        ValueError: Other values; a network without converted layers, or with binary
            layers that no conversion made, by name; more parts than layers; a layer
            that is binary already and would have to be full precision.

    References:
        Liu et al., ReActNet, ECCV 2020 (activations, then weights).
        https://arxiv.org/abs/2003.03488
        Zhuang et al., Towards Effective Low-bitwidth Convolutional Neural Networks,
        CVPR 2018 (two stages, and progressive bits). https://arxiv.org/abs/1711.00205
    """

    # Before the step's forward pass, as every schedule.
    priority = "VERY_HIGH"

    def __init__(
        self, order: str = "shallow_first", end: float = 0.5, parts: int = 4
    ) -> None:
        if order not in ORDERS:
            raise ValueError(
                f"order {order!r} is unknown; choose from {', '.join(ORDERS)}"
            )
        if not 0 < end < 1:
            raise ValueError(f"end must lie between 0 and 1, got {end}")
        if parts < 2:
            raise ValueError(f"parts must be at least 2, got {parts}")
        self.order, self.end, self.parts = order, end, parts
        self._layers: dict[str, ConvertedLayer] = {}
        self._encoders: list[BinarizedEncoder] = []
        self._steps: dict[str, int] = {}

    def before_train(self, runner: Any) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self._layers = _converted(model)
        self._encoders = [m for m in model.modules() if isinstance(m, BinarizedEncoder)]
        self._steps = self.steps(list(self._layers), runner.max_iters)
        for name, layer in self._layers.items():
            if self._phase(name, runner.iter) is Phase.LATENT and bool(layer.placed):
                raise ValueError(
                    f"'{name}' is binary already, and GradualBinarization starts from "
                    "full precision: begin with weights of the full-precision network "
                    "(init_from), or leave the hook out"
                )
        self._set(runner.iter)

    def steps(self, names: list[str], max_iters: int) -> dict[str, int]:
        """The step from which on each layer is binary, weights and all.

        Args:
            names: Of the layers, shallow to deep.
            max_iters: Steps of the run.

        Raises:
            ValueError: More parts than layers.

        Examples:
            >>> hook = GradualBinarization("deep_first", end=0.5, parts=2)
            >>> hook.steps(["a", "b", "c"], 100)
            {'a': 50, 'b': 0, 'c': 0}
        """
        last = self.end * max_iters
        if self.order == "activations_first":
            return dict.fromkeys(names, round(last))
        if self.parts > len(names):
            raise ValueError(
                f"parts={self.parts} is more than the {len(names)} layers that become "
                f"binary: give at most {len(names)}"
            )
        found = {}
        for place, name in enumerate(names):
            if self.order == "deep_first":
                place = len(names) - 1 - place
            part = place * self.parts // len(names)
            found[name] = round(last * part / (self.parts - 1))
        return found

    def before_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None
    ) -> None:
        self._set(runner.iter)

    def _phase(self, name: str, step: int) -> Phase:
        if step >= self._steps[name]:
            return Phase.BINARY
        weights = self.order == "activations_first"
        return Phase.REAL_WEIGHTS if weights else Phase.LATENT

    def _set(self, step: int) -> None:
        due = False
        for name, layer in self._layers.items():
            phase = self._phase(name, step)
            # At this very step weights go over, in a resumed run, too.
            at_once = step == self._steps[name] > 0
            weights = self.order == "activations_first" and at_once
            if phase is not layer.phase or weights:
                layer.set_phase(phase, keep_output=weights)
                due = True
        if due:
            for encoder in self._encoders:
                encoder.place_again()

    def _waiting(self) -> int:
        return sum(m.phase is not Phase.BINARY for m in self._layers.values())

    def before_val_epoch(self, runner: Any) -> None:
        if self._waiting():
            runner.logger.warning(not_binary_yet(self._record(), "this validation"))

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        if self._waiting():
            checkpoint["meta"][RECORD] = self._record()

    def _record(self) -> dict[str, int]:
        return dict(
            waiting=self._waiting(),
            layers=len(self._layers),
            end=max(self._steps.values(), default=0),
        )


def not_binary_yet(record: Any, what: str) -> str:
    """What figures of a network are worth whose training was not binary yet.

    Args:
        record: What a checkpoint's ``meta`` has under :data:`RECORD`; nothing is
            assumed of it.
        what: What the sentence is about.

    Returns:
        A sentence, or an empty text where the record says nothing.

    Examples:
        >>> not_binary_yet(dict(waiting=3, layers=4, end=50), "last.pth")[:60]
        'last.pth: 3 of 4 layers were not fully binary in training ye'
        >>> not_binary_yet(None, "last.pth")
        ''
    """
    values = record if isinstance(record, Mapping) else {}
    numbers = [values.get(key) for key in ("waiting", "layers", "end")]
    if not all(isinstance(number, int) for number in numbers):
        return ""
    waiting, layers, end = numbers
    return (
        f"{what}: {waiting} of {layers} layers were not fully binary in training yet, "
        f"as all are from step {end} on (GradualBinarization). They are evaluated "
        "fully binary, and figures say little before that step"
    )


def _converted(model: nn.Module) -> dict[str, ConvertedLayer]:
    """The converted layers, shallow to deep.

    Raises:
        ValueError: None, or binary layers that are no part of one.
    """
    found = {n: m for n, m in model.named_modules() if isinstance(m, ConvertedLayer)}
    inside = {part for layer in found.values() for part in layer.modules()}
    for name, module in model.named_modules():
        if isinstance(module, BinaryWeightLayer) and module not in inside:
            raise ValueError(
                f"GradualBinarization works on layers that a conversion made "
                f"(BinarizedEncoder, BinarizedHead), and '{name}' is none: leave it "
                "out; method=dict(name='reactnet', step='schedule') goes over from "
                "real to binary weights in any encoder"
            )
    if not found:
        raise ValueError(
            "GradualBinarization finds no converted layer in this network: use a "
            "BinarizedEncoder of a binary method, or leave it out"
        )
    return found
