"""An encoder that someone else wrote, made binary."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmseg.registry import MODELS
from torch import Tensor, nn

from cmim.convert import convert, place_converted, set_output_stride
from cmim.convert import unpack_attention as unpacked
from cmim.convert.stage_search import PICTURE
from cmim.convert.table import ConvertedRow, format_rows
from cmim.encoders.body_stages import (
    INSIDE,
    LEVELS,
    body_stages,
    cut_behind,
    reader_of,
)
from cmim.encoders.encoder import require_bands
from cmim.encoders.foreign_weights import load_foreign_weights
from cmim.encoders.sources import Body, build_body
from cmim.functional.layout import as_maps
from cmim.stages import Stage


@MODELS.register_module()
class BinarizedEncoder(BaseModule):
    """A network of torchvision, timm, mmseg or the user's, binarized by a method.

    Convolutions and linear layers become binary as :func:`cmim.convert.convert` says;
    the network lies in ``network`` with the names that it has in its library.
    Thresholds and scales are placed from the first batch of the training. With
    ``method='fp'`` it is the full-precision network itself.

    Args:
        network: ``'torchvision/NAME'``, ``'timm/NAME'``, ``'mmseg/NAME'``; or a class
            of the user's whose instances take pictures, or ``'FILE.py:CLASS'``.
        method: Name of a binarization method, or ``dict(name=..., **options)``.
        keep: Glob patterns of layers that stay full precision besides the defaults.
        binarize: Glob patterns of layers that become binary whatever the defaults say.
        relu: ``'keep'`` or ``'drop'``, see :func:`cmim.convert.convert`.
        pretrained: File of weights as the library saves them, for the latent weights.
        init_from: Checkpoint of this project for the latent weights.
        output_stride: Input pixels per feature pixel of the last stage; as designed
            when None.
        dilated: Replace each removed stride by a dilation (DeepLab).
        out_indices: Which stages are returned, from 0; all when None.
        stages: Names of the modules whose outputs are the stages; as the library says,
            or searched by their strides, when None.
        in_channels: Bands of the pictures, 3 for RGB.
        network_options: Further arguments of the network.
        unpack_attention: Make torch's attention of linear layers, which become binary
            like others, see :func:`cmim.convert.unpack_attention`.
        init_cfg: mmengine initialisation, in place of the network's own.

    Shape:
        ``(N, in_channels, H, W)`` to a tuple of maps ``(N, C_i, H_i, W_i)``; tokens
        and channels-last features become maps.

    Raises:
        ValueError: Unknown network, method, stage or pattern; an output stride that
            the network cannot have; no attention of torch to unpack.

    Examples:
        >>> net = BinarizedEncoder("torchvision/mobilenet_v2", output_stride=16)
        >>> [(stage.name, stage.channels, stage.stride) for stage in net.stages][2:]
        [('network.features.6', 32, 8), ('network.features.18', 1280, 16)]
        >>> [tuple(f.shape) for f in net.eval()(torch.zeros(1, 3, 64, 64))][2:]
        [(1, 32, 8, 8), (1, 1280, 4, 4)]
    """

    def __init__(
        self,
        network: str | type[nn.Module],
        method: str | dict = "reactnet",
        keep: Sequence[str] = (),
        binarize: Sequence[str] = (),
        relu: str = "keep",
        pretrained: str | None = None,
        init_from: str | None = None,
        output_stride: int | None = None,
        dilated: bool = True,
        out_indices: Sequence[int] | None = None,
        stages: Sequence[str] | None = None,
        in_channels: int = 3,
        network_options: dict | None = None,
        unpack_attention: bool = False,
        init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if pretrained is not None and init_from is not None:
            raise ValueError("pretrained and init_from both name weights: give one")
        self.init_from = pretrained if init_from is None else init_from
        self.in_channels = require_bands(in_channels)
        body = build_body(network, in_channels, dict(network_options or {}))
        if unpack_attention:
            body.network = unpacked(body.network)
        size = body.size or PICTURE
        example = torch.rand(1, in_channels, *size, generator=_generator())
        if output_stride is not None:
            set_output_stride(reader_of(body), output_stride, example, dilated)
        found = body_stages(body, stages)
        _check_stride(found, output_stride)
        self.out_indices = _indices(out_indices, len(found))
        self._returns_features = body.returns_features and stages is None
        self._features_method = body.features
        self._stages = found[: max(self.out_indices) + 1]
        if not self._returns_features:
            cut_behind(body, example, self._stages[-1].name)
        self.network, self.rows = _converted(
            body, example, method=method, keep=keep, binarize=binarize, relu=relu
        )
        self.levels = nn.ModuleList(nn.Identity() for _ in self._stages)
        self._to_place = True

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages that run, shallow to deep, named from this module on."""
        return tuple(
            s if s.name.startswith(LEVELS) else replace(s, name=f"network.{s.name}")
            for s in self._stages
        )

    def place_again(self) -> None:
        """Place layers that have no thresholds yet from the next batch in training."""
        self._to_place = True

    def init_weights(self) -> None:
        """The network's own initialisation, then the weights of the file."""
        if self.init_cfg is not None:
            super().init_weights()
        elif isinstance(self.network, BaseModule):
            self.network.init_weights()
        print_log(format_rows(self.rows).splitlines()[-1], "current")
        if self.init_from is not None:
            names = [stage.name for stage in self._stages]
            load_foreign_weights(self.network, names, self.init_from)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        if self.training and self._to_place:
            self._to_place = False
            place_converted(self.network, lambda: self._features(x.detach()))
        image = (x.shape[2], x.shape[3])
        features = self._features(x)
        return tuple(
            _maps(features[i], self._stages[i].layout, image) for i in self.out_indices
        )

    def _features(self, x: Tensor) -> Sequence[Tensor]:
        if self._returns_features:
            found = self.network(x)
            features = found if isinstance(found, (tuple, list)) else (found,)
            # Fewer levels than features where some are not returned.
            return [m(f) for m, f in zip(self.levels, features, strict=False)]
        seen: dict[str, Tensor] = {}
        handles = [
            self.network.get_submodule(stage.name).register_forward_hook(
                lambda module, args, out, name=stage.name: seen.__setitem__(name, out)
            )
            for stage in self._stages
        ]
        try:
            if self._features_method:
                getattr(self.network, self._features_method)(x)
            else:
                self.network(x)
        finally:
            for handle in handles:
                handle.remove()
        return [seen[stage.name] for stage in self._stages]


def _converted(
    body: Body, example: Tensor, **options: Any
) -> tuple[nn.Module, list[ConvertedRow]]:
    reader = reader_of(body)
    if reader is body.network:
        return convert(reader, example=example, **options)
    # Patterns begin inside the network, and so do the names of the rows.
    for key in ("keep", "binarize"):
        given = options[key]
        patterns = [given] if isinstance(given, str) else given
        options[key] = [f"{INSIDE}{pattern}" for pattern in patterns]
    made, rows = convert(reader, example=example, **options)
    rows = [replace(row, name=row.name.removeprefix(INSIDE)) for row in rows]
    return made.get_submodule(INSIDE[:-1]), rows


def _check_stride(stages: Sequence[Stage], output_stride: int | None) -> None:
    deepest = max(stage.stride for stage in stages)
    # Borders that are cut off make it a little more: 17 in place of 16.
    if output_stride is not None and deepest >= 1.5 * output_stride:
        raise ValueError(
            f"output_stride {output_stride} cannot be had: a layer that is neither "
            f"convolution nor pooling makes it {deepest}; leave it out"
        )


def _indices(chosen: Sequence[int] | None, count: int) -> tuple[int, ...]:
    known = tuple(range(count))
    indices = known if chosen is None else tuple(chosen)
    if not indices or not set(indices) <= set(known):
        raise ValueError(
            f"out_indices {indices}: choose from {', '.join(map(str, known))}"
        )
    return indices


def _maps(x: Tensor, layout: str, image: tuple[int, int]) -> Tensor:
    if layout == "channels_last" and x.dim() == 4:
        return x.permute(0, 3, 1, 2).contiguous()
    return as_maps(x, image)


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
