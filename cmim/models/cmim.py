"""CMIM: piles the contrastive mutual-information loss on any mmseg model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from mmseg.registry import MODELS
from torch import Tensor, nn

from cmim.checkpoint import LOSS_PREFIXES
from cmim.contrast import ActivationTaps, PixelContrastLoss, binarizer_names
from cmim.contrast.pairs import IGNORED, depth_bins
from cmim.contrast.taps import Tap
from cmim.methods import take_auxiliary_losses
from cmim.models.task_losses import weigh_losses
from cmim.models.twin import load_teacher, tapped_outputs
from cmim.regularizers import Regularizers

PARTNERS = ("none", "latent", "teacher")
NEGATIVES = ("all", "other_class", "other_depth", "other_label")
# What worked best for each partner in the first NYUv2 measurements; every entry can
# be set in the config.
PRESETS: dict[str, dict[str, Any]] = {
    "none": dict(taps=(), weight=0.0, negatives="all"),
    "latent": dict(taps=None, weight=0.3, negatives="other_label"),
    "teacher": dict(taps=None, weight=0.5, negatives="all"),
}


@MODELS.register_module()
class CMIM(BaseModel):
    r"""Adds the contrastive loss to a task model, from the config alone.

    .. math:: L = L_{task} + \lambda \sum_{k=0}^{K-1} L_k / \beta^{K-1-k}

    over the K tapped modules from shallow to deep. The task model is not edited: its
    predictions, and its weights in the state dict, are those of the unwrapped model
    (the state of the loss is added under ``contrast.``); outside training the wrapper
    only passes calls on.

    Args:
        model: Config of the task model (any mmseg segmentor).
        partner: Where the full-precision activation comes from. ``'latent'``: the
            input of the same activation binarizer in the same forward pass (the
            paper's text). ``'teacher'``: the same module of the trained
            full-precision twin (as in the paper's released code). ``'none'``: no loss.
        teacher: Checkpoint of the full-precision twin, for ``partner='teacher'``.
        taps: Glob pattern or patterns of module names, shallow to deep; activation
            binarizers for ``'latent'``. Default: the last binarizer of the encoder for
            ``'latent'``, its last two stages for ``'teacher'``.
        weight: lambda >= 0. Default 0.3 for ``'latent'``, 0.5 for ``'teacher'``.
        beta: >= 1; above 1 deeper layers weigh more.
        negatives: ``'all'`` other pixels, or only those with ``'other_class'`` (not
            ignored) or ``'other_depth'`` bin; ``'other_label'`` takes classes where
            the samples have them, else depth. Default ``'other_label'`` for
            ``'latent'``, ``'all'`` for ``'teacher'``.
        projection: Length of the projections.
        pixels: Anchors an image and layer.
        temperature: tau > 0.
        queue: Past projections kept as further negatives, per layer.
        stop_gradient: No gradient into the full-precision side.
        regularizers: Configs of further losses (:mod:`cmim.regularizers`), for any
            partner; those that need the full-precision twin read the one teacher.
        task_loss_weight: Factor of the task model's own losses; 0 trains without
            labels, on the added losses alone.

    Raises:
        ValueError: Unknown partner or negatives, a negative weight, ``beta < 1``, taps
            that match nothing or, for ``'latent'``, are no activation binarizers.

    References:
        Shang et al., Network Binarization via Contrastive Learning, ECCV 2022.
        https://arxiv.org/abs/2207.02970
    """

    def __init__(
        self,
        model: dict,
        partner: str = "latent",
        teacher: str | None = None,
        taps: Sequence[str] | None = None,
        weight: float | None = None,
        beta: float = 1.0,
        negatives: str | None = None,
        projection: int = 64,
        pixels: int = 32,
        temperature: float = 0.1,
        queue: int = 0,
        stop_gradient: bool = True,
        regularizers: str | dict | Sequence[str | dict] = (),
        task_loss_weight: float = 1.0,
    ) -> None:
        if partner not in PARTNERS:
            raise ValueError(
                f"partner {partner!r} is unknown; choose from {', '.join(PARTNERS)}"
            )
        task_model = MODELS.build(model)
        super().__init__(data_preprocessor=task_model.data_preprocessor)
        self.model = task_model
        preset = PRESETS[partner]
        self.partner = partner
        self.weight = preset["weight"] if weight is None else weight
        self.beta = beta
        self.negatives = negatives or preset["negatives"]
        self.task_loss_weight = task_loss_weight
        self._check_options()
        if isinstance(taps, str):
            taps = (taps,)
        # Without a partner there is nothing to tap, whatever the config lists.
        wanted = preset["taps"] if taps is None or partner == "none" else taps
        self._taps = self._make_taps(wanted)
        self.contrast = nn.ModuleDict()
        # Forked: the task model must start from the same weights with and without
        # the loss, or comparisons of the two would measure initialisations as well.
        with torch.random.fork_rng(devices=[]):
            self.regularizers = Regularizers(regularizers, self.model)
            self._load_teacher(model, teacher)
            for name, channels in self._tap_channels().items():
                self.contrast[name.replace(".", "-")] = PixelContrastLoss(
                    channels,
                    channels,
                    projection=projection,
                    pixels=pixels,
                    temperature=temperature,
                    queue=queue,
                    stop_gradient=stop_gradient,
                )
        self._recorded = ActivationTaps(
            self.model, [*self._taps.names, *self.regularizers.names()]
        )
        self.register_state_dict_post_hook(_unwrap_names)
        self.register_load_state_dict_pre_hook(_wrap_names)

    def _check_options(self) -> None:
        if self.negatives not in NEGATIVES:
            raise ValueError(
                f"negatives {self.negatives!r} is unknown; "
                f"choose from {', '.join(NEGATIVES)}"
            )
        if self.weight < 0:
            raise ValueError(f"weight must not be negative, got {self.weight}")
        if self.beta < 1:
            raise ValueError(f"beta must be at least 1, got {self.beta}")
        if not self.task_loss_weight >= 0:
            raise ValueError(
                f"task_loss_weight must not be negative, got {self.task_loss_weight}"
            )

    def _make_taps(self, patterns: Sequence[str] | None) -> ActivationTaps:
        binarizers = binarizer_names(self.model)
        if patterns is None and self.partner == "teacher":
            patterns = _last_stages(self.model)
        if patterns is None:
            inside = [n for n in binarizers if n.startswith("backbone.")]
            patterns = (inside or binarizers)[-1:]
            if not patterns:
                raise ValueError(
                    "partner 'latent' needs an activation binarizer and the model has "
                    "none; choose a binary method, or partner='none'"
                )
        taps = ActivationTaps(self.model, patterns)
        wrong = [n for n in taps.names if n not in binarizers]
        if self.partner == "latent" and wrong:
            raise ValueError(
                f"partner 'latent' taps activation binarizers, and '{wrong[0]}' is "
                f"none; choose from {', '.join(binarizers)}"
            )
        return taps

    @torch.no_grad()
    def _tap_channels(self) -> dict[str, int]:
        """Channels at each tap, seen in one pass of a tiny image."""
        if not self._taps.names:
            return {}
        training = self.model.training
        self.model.eval()
        with self._taps.recording() as seen:
            self.model(torch.zeros(1, 3, 64, 64), mode="tensor")
        self.model.train(training)
        return {name: tap.binary.shape[1] for name, tap in seen.items()}

    def forward(
        self, inputs: Tensor, data_samples: list | None = None, mode: str = "tensor"
    ) -> Any:
        """Pass on to the task model; in mode ``'loss'`` add the entries of the losses.

        One per contrasted tap, one per regularizer, and one for the losses of
        binarizers that have any.
        """
        if mode != "loss":
            return self.model(inputs, data_samples, mode=mode)
        with self._recorded.recording() as seen:
            losses = self.model(inputs, data_samples, mode="loss")
        losses = weigh_losses(losses, self.task_loss_weight)
        losses.update(take_auxiliary_losses(self.model))
        theirs = self._teacher_features(inputs)
        losses.update(self._contrast_losses(seen, theirs, data_samples or []))
        losses.update(self.regularizers(seen, theirs))
        return losses

    def _contrast_losses(
        self, seen: dict[str, Tap], theirs: dict[str, Tensor], data_samples: list
    ) -> dict[str, Tensor]:
        # In the order of execution, shallow to deep.
        names = [name for name in seen if name in self._taps.modules]
        if not names:
            return {}
        labels = self._labels(data_samples, seen[names[0]].binary.device)
        losses = {}
        for k, name in enumerate(names):
            tap = seen[name]
            partner = theirs[name] if self.partner == "teacher" else tap.full_precision
            loss = self.contrast[name.replace(".", "-")](tap.binary, partner, labels)
            scale = self.weight / self.beta ** (len(names) - 1 - k)
            losses[f"cmim.loss_{name}"] = loss * scale
        return losses

    def _load_teacher(self, model: dict, checkpoint: str | None) -> None:
        """The one teacher, if anything needs it, and its taps."""
        needed = self.regularizers.teacher_names()
        if self.partner == "teacher":
            needed = {"partner 'teacher'": self._taps.names, **needed}
        teacher = (
            load_teacher(model, checkpoint, next(iter(needed))) if needed else None
        )
        # Kept out of the modules: its weights are neither trained nor saved here.
        self.__dict__["_teacher"] = teacher
        names = [name for names in needed.values() for name in names]
        self._teacher_taps = ActivationTaps(teacher, names) if teacher else None

    def _teacher_features(self, inputs: Tensor) -> dict[str, Tensor]:
        if self._teacher_taps is None:
            return {}
        return tapped_outputs(self.__dict__["_teacher"], self._teacher_taps, inputs)

    def _labels(self, data_samples: list, device: torch.device) -> Tensor | None:
        if self.negatives == "all":
            return None
        if self.negatives != "other_depth" and "gt_label" in data_samples[0]:
            # The class of an image is that of all its pixels: a map of one pixel.
            labels = torch.tensor([sample.gt_label for sample in data_samples])
            return labels.view(-1, 1, 1).to(device, non_blocking=True)
        has_classes = all("gt_sem_seg" in sample for sample in data_samples)
        has_depth = all("gt_depth_map" in sample for sample in data_samples)
        classes = self.negatives == "other_class" or (
            self.negatives == "other_label" and has_classes
        )
        if not (has_classes if classes else has_depth):
            missing = "labels" if classes else "depth"
            raise ValueError(
                f"negatives {self.negatives!r} needs {missing} in the training data: "
                f"set train_dataloader.dataset.pipeline.0.{missing}=True, or "
                "model.negatives=all"
            )
        if classes:
            maps = torch.stack([s.gt_sem_seg.data[0] for s in data_samples])
            return maps.masked_fill(maps == 255, IGNORED)
        return depth_bins(torch.stack([s.gt_depth_map.data[0] for s in data_samples]))

    def _apply(self, fn, *args, **kwargs):
        teacher = self.__dict__.get("_teacher")
        if teacher is not None:
            teacher._apply(fn, *args, **kwargs)
        return super()._apply(fn, *args, **kwargs)


def _last_stages(model: nn.Module) -> list[str]:
    """Names of the encoder's last two stages."""
    encoder = model.get_submodule("backbone")
    stages = [name for name, _ in encoder.named_children() if name.startswith("layer")]
    if not stages:
        raise ValueError(
            "partner 'teacher' found no stages named layer1, layer2, ... in the "
            "encoder; name the modules to compare with model.taps"
        )
    return [f"backbone.{name}" for name in stages[-2:]]


def _unwrap_names(module: nn.Module, state: dict, prefix: str, metadata: dict) -> None:
    inner = f"{prefix}model."
    for key in [k for k in state if k.startswith(inner)]:
        state[prefix + key[len(inner) :]] = state.pop(key)


def _wrap_names(module: nn.Module, state: dict, prefix: str, *unused: Any) -> None:
    for key in [k for k in state if k.startswith(prefix)]:
        name = key[len(prefix) :]
        if not name.startswith(LOSS_PREFIXES):
            state[f"{prefix}model.{name}"] = state.pop(key)
