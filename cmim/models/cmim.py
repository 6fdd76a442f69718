"""CMIM: piles the contrastive mutual-information loss on any mmseg model."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModel
from mmseg.registry import MODELS
from torch import Tensor, nn

from cmim.added_losses import AddedLosses
from cmim.contrast import ActivationTaps, BatchLabels, binarizer_names, get_loss
from cmim.contrast.taps import Tap
from cmim.methods import take_auxiliary_losses
from cmim.models.read_labels import read_labels
from cmim.models.settings import resolve_settings
from cmim.models.state_names import unwrap_names, wrap_names
from cmim.models.tap_patterns import tap_patterns
from cmim.models.task_losses import weigh_losses
from cmim.models.teacher import Teacher, tap_channels
from cmim.models.teacher_cache import cache_of
from cmim.models.teacher_pairs import join_pairs, named_pairs
from cmim.models.teacher_view import TeacherView
from cmim.models.twin import load_teacher, model_identity


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
        partner: Where the full-precision activation comes from. ``'latent'`` (the
            default): the input of the same activation binarizer in the same forward
            pass (the paper's text). ``'teacher'``: the same module of the trained
            full-precision twin (as in the paper's released code). ``'none'``: no loss.
        teacher: Checkpoint of the full-precision twin, for ``partner='teacher'``.
        teacher_model: Config of another teacher's task model, of any family; the
            full-precision twin when None. Modules of the tapped names are read, or
            those that ``taps`` pairs them with, or stages of equal stride
            (:mod:`cmim.models.teacher_pairs`). A ``data_preprocessor`` in it says how
            its pictures are normalised.
        teacher_resolution: The teacher sees pictures of this share of the side, such
            as 0.5; the student's when None.
        teacher_cache: Keep the teacher's features of pictures that come again, in 4 GB
            at most (True) or so many GB; for training without random crops and colours.
        preset: ``'cmim'``, the paper's text: every binarizer against its own latent
            activation, NCE, trained projections. ``'cmim_released'``, what its released
            code does (:mod:`cmim.contrast.losses`). It sets the partner;
            other options beside it win.
        loss: Name of the contrastive loss (:mod:`cmim.contrast.losses`), or
            ``dict(name=..., **its options)``. Default ``'info_nce'``.
        taps: Glob pattern or patterns of module names, shallow to deep; activation
            binarizers for ``'latent'``. Or a word: ``'last_binarizer'`` (default for
            ``'latent'``), ``'every_binarizer'``, ``'last_stage'``,
            ``'last_two_stages'`` (default for ``'teacher'``). Or the teacher's modules
            by the student's, ``{'backbone.layer4': 'backbone.stage4'}``.
        weight: lambda >= 0. Default 0.3 for ``'latent'``, 0.5 for ``'teacher'``.
        beta: >= 1, default 1; above 1 deeper layers weigh more.
        negatives: ``'all'`` other samples, or only those with ``'other_class'`` (not
            ignored) or ``'other_depth'`` bin; ``'other_label'`` takes classes where
            the samples have them, else depth. Default ``'other_label'`` for
            ``'latent'``, ``'all'`` for ``'teacher'``.
        projection: This and the next: see :class:`cmim.contrast.ContrastOptions`.
        level: Samples are pixels, or images.
        pixels: Anchors an image and layer.
        sampling: Where they lie.
        temperature: tau > 0.
        queue: Past projections kept as further negatives, per layer.
        gather: Negatives from all processes.
        stop_gradient: No gradient into the full-precision side.
        chunk: Candidates scored at a time.
        added_losses: Configs of further losses (:mod:`cmim.added_losses`), for any
            partner; those that need the full-precision twin read the one teacher.
        task_loss_weight: Factor of the task model's own losses; 0 trains without
            labels, on the added losses alone.
        regularizers: What ``added_losses`` was called before, for saved configs.

    Raises:
        ValueError: Unknown partner or negatives, a negative weight, ``beta < 1``, taps
            that match nothing, never run or, for ``'latent'``, are no activation
            binarizers.

    References:
        Shang et al., Network Binarization via Contrastive Learning, ECCV 2022.
        https://arxiv.org/abs/2207.02970
    """

    def __init__(
        self,
        model: dict,
        partner: str | None = None,
        teacher: str | None = None,
        preset: str | None = None,
        loss: str | dict | None = None,
        taps: str | Sequence[str] | Mapping[str, str] | None = None,
        weight: float | None = None,
        beta: float | None = None,
        negatives: str | None = None,
        projection: int | None = None,
        level: str | None = None,
        pixels: int | None = None,
        sampling: str | None = None,
        temperature: float | None = None,
        queue: int | None = None,
        gather: bool | None = None,
        stop_gradient: bool | None = None,
        chunk: int | None = None,
        added_losses: str | dict | Sequence[str | dict] = (),
        task_loss_weight: float = 1.0,
        teacher_model: dict | None = None,
        regularizers: str | dict | Sequence[str | dict] = (),
        teacher_resolution: float | None = None,
        teacher_cache: bool | float = False,
    ) -> None:
        settings = resolve_settings(
            preset, partner=partner, loss=loss, taps=taps, weight=weight, beta=beta,
            negatives=negatives, projection=projection, level=level, pixels=pixels,
            sampling=sampling, temperature=temperature, queue=queue, gather=gather,
            stop_gradient=stop_gradient, chunk=chunk,
        )  # fmt: skip
        if loss is not None and settings.partner == "none":
            warnings.warn(
                f"the loss {loss!r} is not trained on: partner is 'none'; set "
                "model.partner=latent or model.partner=teacher",
                stacklevel=2,
            )
        if not task_loss_weight >= 0:
            raise ValueError(
                f"task_loss_weight must not be negative, got {task_loss_weight}"
            )
        if added_losses and regularizers:
            raise ValueError(
                "regularizers is the former name of added_losses: give one of them"
            )
        build_loss = get_loss(settings.loss)
        view, cache = TeacherView(None, teacher_resolution), cache_of(teacher_cache)
        task_model = MODELS.build(model)
        super().__init__(data_preprocessor=task_model.data_preprocessor)
        self.settings = settings
        self.model = task_model
        self.task_loss_weight = task_loss_weight
        self._taps = self._make_taps()
        self.contrast = nn.ModuleDict()
        # Forked: the task model must start from the same weights with and without
        # the loss, or comparisons of the two would measure initialisations as well.
        with torch.random.fork_rng(devices=[]):
            self.added_losses = AddedLosses(added_losses or regularizers, self.model)
            self.teacher = self._load_teacher(
                model, checkpoint=teacher, teacher_model=teacher_model, view=view,
                cache=cache,
            )  # fmt: skip
            partners = self._partner_channels()
            for name, channels in self._own_channels().items():
                self.contrast[name.replace(".", "-")] = build_loss(
                    channels, partners.get(name, channels), self.settings.shared
                )
            self._bridge_added_losses()
        self._recorded = ActivationTaps(
            self.model, [*self._taps.names, *self.added_losses.names()]
        )
        self.register_state_dict_post_hook(unwrap_names)
        self.register_load_state_dict_pre_hook(wrap_names)

    def _make_taps(self) -> ActivationTaps:
        taps = ActivationTaps(self.model, tap_patterns(self.model, self.settings.taps))
        binarizers = binarizer_names(self.model)
        wrong = [n for n in taps.names if n not in binarizers]
        if self.settings.partner == "latent" and wrong:
            raise ValueError(
                f"partner 'latent' taps activation binarizers, and '{wrong[0]}' is "
                f"none; choose from {', '.join(binarizers)}"
            )
        return taps

    def _own_channels(self) -> dict[str, int]:
        """Channels of the taps that run."""
        found = tap_channels(self.model, self._taps)
        idle = [name for name in self._taps.names if name not in found]
        if idle:
            raise ValueError(
                f"the model does not run {', '.join(idle)}, so that there "
                "is nothing to contrast: set model.taps to modules that its heads read"
            )
        return found

    def _partner_channels(self) -> dict[str, int]:
        """Channels of the teacher's taps, where they may be others than ours."""
        partner = self.settings.partner == "teacher"
        if not partner or self.teacher is None or not self.teacher.may_differ:
            return {}
        return self.teacher.channels(self._taps.names)

    def _bridge_added_losses(self) -> None:
        """Tell the added losses how many channels both sides of the encoder have."""
        if self.teacher is None or not self.teacher.may_differ:
            return
        read = {
            n for names in self.added_losses.teacher_names().values() for n in names
        }
        names = self.teacher.within_encoders(read)
        own = tap_channels(self.model, ActivationTaps(self.model, names))
        self.added_losses.bridge(own, self.teacher.channels(list(own)))

    def forward(
        self, inputs: Tensor, data_samples: list | None = None, mode: str = "tensor"
    ) -> Any:
        """Pass on to the task model; in mode ``'loss'`` add the entries of the losses.

        One per contrasted tap, one per added loss, and one for the losses of
        binarizers that have any.
        """
        if mode != "loss":
            return self.model(inputs, data_samples, mode=mode)
        with self._recorded.recording() as seen:
            losses = self.model(inputs, data_samples, mode="loss")
        losses = weigh_losses(losses, self.task_loss_weight)
        losses.update(take_auxiliary_losses(self.model))
        image = (inputs.shape[2], inputs.shape[3])
        seen = {name: tap.on_grid(image) for name, tap in seen.items()}
        theirs = self.teacher.features(inputs, seen) if self.teacher else {}
        losses.update(self._contrast_losses(seen, theirs, data_samples or []))
        losses.update(self.added_losses(seen, theirs))
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
            latent = self.settings.partner == "latent"
            partner = tap.full_precision if latent else theirs[name]
            loss = self.contrast[name.replace(".", "-")](tap.binary, partner, labels)
            scale = self.settings.weight / self.settings.beta ** (len(names) - 1 - k)
            losses[f"cmim.loss_{name}"] = loss * scale
        return losses

    def _labels(self, data_samples: list, device: torch.device) -> BatchLabels:
        shared = self.settings.shared
        return read_labels(
            data_samples,
            self.settings.negatives,
            device,
            regions=shared.sampling != "uniform",
            image_level=shared.level == "image",
        )

    def _load_teacher(self, model: dict, **options: Any) -> Teacher | None:
        """The one teacher, if anything needs it, and its taps."""
        needed = self.added_losses.teacher_names()
        pairs = self.added_losses.pairs()
        if self.settings.partner == "teacher":
            needed = {"partner 'teacher'": self._taps.names, **needed}
            pairs = {"taps": named_pairs(self.settings.taps), **pairs}
        if not needed:
            return None
        teacher = load_teacher(model, needed_by=next(iter(needed)), **options)
        names = [name for names in needed.values() for name in names]
        teacher.tap(self.model, names, join_pairs(pairs.items()))
        teacher.check(model_identity(model))
        return teacher

    def check_teacher(self, own: dict[str, Any]) -> None:
        """Refuse a teacher that answers something else, as far as that is read.

        Args:
            own: :func:`cmim.identity.identity_of` the whole config, with classes.
        """
        if self.teacher is not None:
            self.teacher.check(own)

    def _apply(self, fn, *args, **kwargs):
        if self.teacher is not None:
            self.teacher.network._apply(fn, *args, **kwargs)
            self.teacher.forget()
        return super()._apply(fn, *args, **kwargs)
