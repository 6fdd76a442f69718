"""The first images of any data set, ours and those of others."""

import pytest
from mmengine.dataset import BaseDataset

from cmim.engine.robustness import keep_first
from tasks.datasets.nyud import NYUv2Dataset


class SubInTests(NYUv2Dataset):
    """Says no option of its own."""

    def __init__(self, **options):
        super().__init__(**options)


@pytest.mark.parametrize(
    ("options", "after"),
    [
        (dict(type="NYUv2Dataset"), dict(limit=5)),
        (dict(type=SubInTests, limit=3), dict(limit=3)),
        (dict(type=NYUv2Dataset, limit=9), dict(limit=5)),
        # Without `limit`: an error in front of the first image before.
        (dict(type=BaseDataset), dict(indices=5)),
        (
            dict(type=BaseDataset, indices=[7, 2, 9, 4, 1, 0, 3]),
            dict(indices=[7, 2, 9, 4, 1]),
        ),
    ],
)
def test_the_first_images_are_asked_for_as_the_data_set_takes_it(options, after):
    keep_first(options, 5)
    assert {k: v for k, v in options.items() if k != "type"} == after


def test_mmengine_reads_so_many():
    data = BaseDataset(lazy_init=True, indices=2)
    data.load_data_list = lambda: [{"n": k} for k in range(5)]
    data.full_init()
    assert [data.get_data_info(k)["n"] for k in range(len(data))] == [0, 1]
