"""Batch-norm statistics of a network as it is now."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from cmim.convert.probe import evaluation


class _Norms(nn.Module):
    """Batch-norms without their network: what is trained is these and nothing else.

    ``update_bn`` puts what it is given into training mode; in a whole network that
    would draw dropout and soften the codes of some methods, too.
    """

    def __init__(self, norms: Iterable[nn.Module], run: Callable[[Any], Any]) -> None:
        super().__init__()
        self.norms = nn.ModuleList(norms)
        self.run = run

    def forward(self, batch: Any) -> None:
        self.run(batch)


@torch.no_grad()
def recalibrate_batch_norm(
    network: nn.Module,
    batches: Iterable[Any],
    run: Callable[[Any], Any] | None = None,
) -> list[str]:
    """Replace the running statistics of batch-norms by those of some batches.

    Running averages of the training lag behind weights that change, and binary layers
    change in steps. Here mean and variance of each batch-norm become the averages over
    the batches of the batch's mean and unbiased variance. All other modules work as in
    evaluation. Of a network in training mode, batch-norms in evaluation mode are frozen
    ones and stay; so do those that do not run.

    Args:
        network: Holds the batch-norms. Its modes and its weights stay.
        batches: What ``run`` takes; one pass is made over them.
        run: Runs the network, or what contains it, on a batch; the network itself when
            None.

    Returns:
        Names of the batch-norms that have new statistics.

    Raises:
        ValueError: No batches.

    Examples:
        >>> net = nn.Sequential(nn.BatchNorm1d(1)).eval()
        >>> recalibrate_batch_norm(net, [torch.tensor([[1.0], [3.0]])])
        ['0']
        >>> net[0].running_mean.item(), net[0].running_var.item()
        (2.0, 2.0)
    """
    norms = {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.modules.batchnorm._BatchNorm)
        and module.track_running_stats
        and (module.training or not network.training)
    }
    before = {name: _statistics(norm) for name, norm in norms.items()}
    seen = _Counted(batches)
    function = network if run is None else run
    with evaluation(network):
        # Called in a function: a module would become a part of what is put into
        # training.
        update_bn(seen, _Norms(norms.values(), lambda batch: function(batch)))
    idle = [n for n, m in norms.items() if not bool(m.num_batches_tracked)]
    for name in idle:
        for now, former in zip(
            _statistics(norms[name], copied=False), before[name], strict=True
        ):
            now.copy_(former)
    if norms and not seen.count:
        raise ValueError(
            "batch-norm statistics are taken from batches, and there were none: give "
            "at least one"
        )
    return [name for name in norms if name not in idle]


class _Counted:
    """Batches, each in a tuple as ``update_bn`` unpacks them, and their number."""

    def __init__(self, batches: Iterable[Any]) -> None:
        self.batches = batches
        self.count = 0

    def __iter__(self) -> Iterator[tuple[Any]]:
        for batch in self.batches:
            self.count += 1
            yield (batch,)


def _statistics(norm: Any, copied: bool = True) -> list[Tensor]:
    values = [norm.running_mean, norm.running_var, norm.num_batches_tracked]
    return [value.clone() for value in values] if copied else values
