"""Ends a run at the first step that is not finite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from mmengine.dist import all_reduce, get_world_size
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from torch import Tensor

from cmim.finite import what_is_not_finite

GRADIENT = "gradient"
# Thirty skipped steps in a row below the usual first loss scale of float16, 2^16.
SMALLEST_SCALE = 2.0**-14
# Adam divides it by 1 - beta, and the quotient must be a float32.
LARGEST_RATE = 1e34


class DivergedError(ValueError):
    """A run whose loss, gradient or weights are not finite any more."""


@HOOKS.register_module()
class StopWhenDiverged(Hook):
    """Stop at the first step whose loss or gradient is NaN or Inf.

    On a CPU every step is looked at. On a GPU the first such step is remembered on the
    device and read every ``interval`` steps, before every validation and before every
    checkpoint, so that no step waits for the device. A checkpoint that would hold NaN
    or Inf is not written: the one before it stays.

    The gradient is the one that reaches the optimizer, after clipping. Steps that
    float16's loss scaling skips do not reach it, and are no divergence.

    Args:
        interval: Steps between readings on a GPU; where the logs are written anyway.

    Raises:
        DivergedError: Naming the step and what was not finite at it.
    """

    # Before the checkpoint is written, and before the averages of EMA are.
    priority = "ABOVE_NORMAL"

    def __init__(self, interval: int = 50) -> None:
        self.interval = interval
        self._names: tuple[str, ...] = ()
        # Step, counted from 1, and values of the first step that was not finite.
        self._first: Tensor | None = None
        self._values: Tensor | None = None
        self._gradient: Tensor | None = None
        self._handles: list[Any] = []

    def before_train(self, runner: Any) -> None:
        wrappers = runner.optim_wrapper
        several = hasattr(wrappers, "optim_wrappers")
        for wrapper in wrappers.values() if several else [wrappers]:
            optimizer = wrapper.optimizer
            _check_rates(optimizer)
            self._handles.append(optimizer.register_step_pre_hook(self._note_gradient))

    def after_train(self, runner: Any) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    @torch.no_grad()
    def _note_gradient(self, optimizer: Any, args: Any, kwargs: Any) -> None:
        """Largest magnitude of the gradient: the norm that does not overflow."""
        gradients = [
            p.grad
            for group in optimizer.param_groups
            for p in group["params"]
            if p.grad is not None and p.grad.numel()
        ]
        if gradients:
            found = _largest(gradients)
            known = self._gradient
            self._gradient = found if known is None else torch.maximum(known, found)

    @torch.no_grad()
    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        seen = {
            name: value.detach().float()
            for name, value in (outputs or {}).items()
            if isinstance(value, Tensor) and "loss" in name
        }
        if self._gradient is not None:
            seen[GRADIENT], self._gradient = self._gradient, None
        if not seen:
            return
        if tuple(seen) != self._names:
            self._complain(runner, self._step())
            self._names, self._first = tuple(seen), None
        values = torch.stack(list(seen.values()))
        self._remember(values, runner.iter + 1)
        if not self.waits(values) or self.every_n_train_iters(runner, self.interval):
            self.read(runner)

    @staticmethod
    def waits(values: Tensor) -> bool:
        """Whether reading a tensor waits for its device."""
        return values.device.type != "cpu"

    def _remember(self, values: Tensor, step: int) -> None:
        wrong = ~values.isfinite().all()
        if self._first is None or self._values is None:
            self._first = torch.zeros_like(wrong, dtype=torch.int64)
            self._values = values
        new = wrong & (self._first == 0)
        self._first = torch.where(new, step, self._first)
        self._values = torch.where(new, values, self._values)

    def before_val(self, runner: Any) -> None:
        self.read(runner)

    def before_save_checkpoint(self, runner: Any, checkpoint: dict) -> None:
        # Only the first process writes, and nothing may wait for the others here.
        self._complain(runner, self._step())
        parts = ("state_dict", "optimizer")
        found = what_is_not_finite(
            {key: checkpoint[key] for key in parts if key in checkpoint}
        )
        if found:
            raise DivergedError(
                f"step {runner.iter + 1}: {found} of weights and optimizer, though the "
                f"loss is finite: the run has diverged; {_way_out(runner)}"
            )

    def _step(self) -> int:
        return 0 if self._first is None else int(self._first)

    def read(self, runner: Any) -> None:
        """Stop every process if one has seen a step that is not finite.

        Args:
            runner: The runner; all processes must call this at the same step.

        Raises:
            DivergedError: There was such a step, or float16 can train no more.
        """
        step = self._step()
        if get_world_size() > 1:
            anywhere = torch.tensor(step, device=_device(self._first))
            all_reduce(anywhere, "max")
            if step == 0 and int(anywhere):
                raise DivergedError(
                    f"step {int(anywhere)}: another process has seen a loss that is "
                    f"not finite: the run has diverged; {_way_out(runner)}"
                )
        self._complain(runner, step)
        scaler = getattr(runner.optim_wrapper, "loss_scaler", None)
        if scaler is not None and scaler.get_scale() < SMALLEST_SCALE:
            raise DivergedError(
                f"step {runner.iter + 1}: float16's gradients overflow at a loss scale "
                f"of {scaler.get_scale()}, so that no step is taken any more; "
                f"{_way_out(runner)}, or --amp bfloat16"
            )

    def _complain(self, runner: Any, step: int) -> None:
        if step == 0 or self._values is None:
            return
        values = dict(zip(self._names, self._values.tolist(), strict=True))
        wrong = [f"{n} {v}" for n, v in values.items() if not abs(v) < float("inf")]
        raise DivergedError(
            f"step {step}: {', '.join(wrong)} is not finite: the run has diverged and "
            f"was stopped; {_way_out(runner)}"
        )


def _device(tensor: Tensor | None) -> torch.device:
    return torch.device("cpu") if tensor is None else tensor.device


def _check_rates(optimizer: torch.optim.Optimizer) -> None:
    """Refuse learning rates whose first step would be a number that does not exist."""
    for group in optimizer.param_groups:
        rate = float(group.get("initial_lr", group["lr"]))
        if not rate < LARGEST_RATE:
            raise DivergedError(
                f"the learning rate is {rate}, more than weights can hold; lower "
                "optim_wrapper.optimizer.lr"
            )


def _way_out(runner: Any) -> str:
    kept = Path(runner.work_dir) / "last.pth"
    found = (
        f"'{kept}' is the last finite checkpoint"
        if kept.exists()
        else "there is no finite checkpoint yet"
    )
    return (
        f"{found}; start again with a lower learning rate "
        "(--overwrite --cfg-options optim_wrapper.optimizer.lr=...), a longer warm-up "
        "or optim_wrapper.clip_grad.max_norm"
    )


def stop_if_diverged(runner: Any) -> None:
    """Read what the run's :class:`StopWhenDiverged` remembers, in all processes.

    Args:
        runner: A runner within training.

    Raises:
        DivergedError: A step so far was not finite.
    """
    for hook in runner.hooks:
        if isinstance(hook, StopWhenDiverged):
            hook.read(runner)


def _largest(gradients: list[Tensor]) -> Tensor:
    """Largest magnitude, NaN or Inf where there is any; a scalar, float32 at least."""
    if gradients[0].device.type == "cpu":
        # The maximum norm is seven times slower there.
        ends = [end.float() for x in gradients for end in x.aminmax()]
        return torch.stack(ends).abs().max()
    norms = torch._foreach_norm(gradients, torch.inf)
    return torch.stack([norm.float() for norm in norms]).max()
