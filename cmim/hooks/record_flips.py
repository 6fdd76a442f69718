"""Records how many binary weights change their sign during training."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from torch import Tensor

from cmim.analysis.codes import flip_ratio
from cmim.functional.bits import pack_bits, unpack_bits
from cmim.layers import BinaryWeightLayer
from cmim.whole_output import write_whole


@HOOKS.register_module()
class RecordFlips(Hook):
    """Write ``flips.json``: the share of signs changed since the last record, by layer.

    The signs are those that the layer convolves with, of all its terms. Between records
    it costs nothing, and at a record one value a layer leaves the device. The signs of
    the last record are in the checkpoint (a bit a weight): a resumed run ends with the
    same file as the uninterrupted one.

    ``flips.json`` holds ``layers`` (names, shallow to deep) and ``records``, each with
    ``step``, ``since`` (the step of the record before) and ``flips``, a share in
    [0, 1] for each layer.

    Args:
        interval: Steps between records.

    Raises:
        ValueError: An interval below 1.

    References:
        Helwegen et al., Latent Weights Do Not Exist: Rethinking Binarized Neural
        Network Optimization, NeurIPS 2019, on flips. https://arxiv.org/abs/1906.02107
    """

    # Before the checkpoint is written.
    priority = "BELOW_NORMAL"

    def __init__(self, interval: int = 100) -> None:
        if interval < 1:
            raise ValueError(f"interval must be at least 1 step, got {interval}")
        self.interval = interval
        self._layers: dict[str, BinaryWeightLayer] = {}
        self._signs: list[Tensor] = []
        self._since = 0
        self._records: list[dict[str, Any]] = []
        self._restored: dict[str, Any] | None = None

    def before_train(self, runner: Any) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self._layers = {
            name: module
            for name, module in getattr(model, "model", model).named_modules()
            if isinstance(module, BinaryWeightLayer)
        }
        self._signs, self._since, self._records = self._now(), runner.iter, []
        kept = self._restored
        # Weights that another run left are where this one begins, not a part of it.
        if kept is not None and runner.iter:
            self._since = kept["since"]
            self._records = kept["records"]
            self._signs = [
                unpack_bits(packed.to(now.device), now.numel()).view_as(now).bool()
                for packed, now in zip(kept["signs"], self._signs, strict=True)
            ]

    @torch.no_grad()
    def _now(self) -> list[Tensor]:
        """Signs of every layer, ``(terms, O, I, kh, kw)`` boolean."""
        return [
            torch.stack([codes >= 0 for _, codes in layer.code_terms()])
            for layer in self._layers.values()
        ]

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        if not self._layers or not self.every_n_train_iters(runner, self.interval):
            return
        now, step = self._now(), runner.iter + 1
        pairs = zip(self._signs, now, strict=True)
        shares = torch.stack([flip_ratio(before, after) for before, after in pairs])
        flips = [round(share, 6) for share in shares.tolist()]
        self._records.append(dict(step=step, since=self._since, flips=flips))
        self._signs, self._since = now, step
        if runner.rank == 0:
            self._write(Path(runner.work_dir) / "flips.json")

    def _write(self, path: Path) -> None:
        content = dict(layers=list(self._layers), records=self._records)
        write_whole(path, json.dumps(content) + "\n")

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        checkpoint["flips"] = dict(
            since=self._since,
            records=list(self._records),
            signs=[pack_bits(signs).cpu() for signs in self._signs],
        )

    def after_load_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        self._restored = checkpoint.get("flips")
