"""An endless stream of training samples that can be replayed from any position."""

from __future__ import annotations

from collections.abc import Iterator, Sized

import torch
from mmengine.dataset import ClassBalancedDataset, ConcatDataset, RepeatDataset
from mmengine.dist import get_dist_info, sync_random_seed
from mmengine.registry import DATA_SAMPLERS
from torch.utils.data import Sampler

WRAPPERS = (ConcatDataset, RepeatDataset, ClassBalancedDataset)


@DATA_SAMPLERS.register_module()
class ReplayableSampler(Sampler):
    """Shuffled epochs without end, each sample with its own random seed.

    Yields ``(index, seed, epoch)``: the random transforms of a sample depend on these
    alone, not on worker processes or on what was drawn before. A resumed run therefore
    sees exactly what the uninterrupted one would have seen.

    Args:
        dataset: Anything with a length.
        seed: Seed of the shuffles; the same on all ranks (synchronised when None).

    Raises:
        ValueError: A wrapper of mmengine, which loses the seeds.

    Examples:
        >>> stream = iter(ReplayableSampler(range(2), seed=0))
        >>> first = [next(stream) for _ in range(4)]
        >>> sorted(first) == [(0, 0, 0), (0, 0, 1), (1, 0, 0), (1, 0, 1)]
        True
        >>> sampler = ReplayableSampler(range(2), seed=0)
        >>> sampler.skip(3)
        >>> next(iter(sampler)) == first[3]
        True
    """

    def __init__(self, dataset: Sized, seed: int | None = None) -> None:
        self.rank, self.world_size = get_dist_info()
        if isinstance(dataset, WRAPPERS) and not hasattr(dataset, "replayable"):
            raise ValueError(
                f"{type(dataset).__name__} of mmengine does not pass on the seeds of "
                "samples; write type='JoinedDataset', with the same datasets (one that "
                "shall be seen more often several times)"
            )
        self.size = len(dataset)
        self.seed = sync_random_seed() if seed is None else seed
        self.start = 0

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        position = self.start * self.world_size + self.rank
        order: list[int] = []
        shuffled = -1
        while True:
            epoch, place = divmod(position, self.size)
            if epoch != shuffled:
                generator = torch.Generator()
                # A large odd stride keeps neighbouring seeds' epochs apart.
                generator.manual_seed(self.seed * 1_000_003 + epoch)
                order = torch.randperm(self.size, generator=generator).tolist()
                shuffled = epoch
            yield order[place], self.seed, epoch
            position += self.world_size

    def skip(self, num_samples: int) -> None:
        """Start after that many samples of this rank, for resuming.

        Args:
            num_samples: Absolute number of samples already seen on this rank.
        """
        self.start = num_samples

    def __len__(self) -> int:
        return self.size

    def set_epoch(self, epoch: int) -> None:
        """Nothing to do: epochs are counted along the stream."""
