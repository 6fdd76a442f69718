"""What is advised about classes can be written into the config as it stands."""

import pytest
from mmseg.registry import DATASETS

from cmim.engine.config_bands import fit_bands
from cmim.engine.config_classes import check_classes, check_read_classes
from cmim.engine.config_error import ConfigError
from tasks.datasets.nyud import NYUv2Dataset
from tasks.transforms import LoadFrame


@pytest.mark.parametrize(
    ("count", "said"), [(3, r"\(num_classes=2\)"), (1, "has one class.*num_classes=2")]
)
def test_advice_names_the_model_as_the_config_does(count, said):
    """Short configs have no task_model; a line that names it would not run."""
    names = ["a", "b"][: 1 if count == 1 else 2]
    task = dict(decode_head=dict(num_classes=count))
    config = dict(
        test_dataloader=dict(dataset=dict(metainfo=dict(classes=names))),
        model=dict(model=task),
    )
    with pytest.raises(ConfigError, match=said) as error:
        check_classes(config, task)
    assert " model.model.decode_head.update(" in str(error.value)
    with pytest.raises(ConfigError, match=r" task_model\.decode_head\.update\("):
        check_classes({**config, "task_model": task}, task)
    with pytest.raises(ConfigError, match=r" model\.decode_head\.update\("):
        check_classes({**config, "model": task}, task)


@pytest.mark.full
def test_classes_of_labels_that_are_not_read_are_not_compared(rooms):
    """A network of other classes is tested on the depth of a kind that has classes."""
    task = dict(heads=dict(seg=dict(num_classes=3), depth={}))
    room = dict(type=NYUv2Dataset, data_root=str(rooms), split="test")
    built = {
        labels: DATASETS.build(dict(room, pipeline=[LoadFrame(labels=labels)]))
        for labels in (False, True)
    }
    check_read_classes(dict(test_dataloader=built[False]), task)
    with pytest.raises(ConfigError, match="names 40 classes"):
        check_read_classes(dict(test_dataloader=built[True]), task)


def test_bands_of_parts_within_parts_are_compared():
    part = dict(type="DenseFolderDataset", image_channels=4, pipeline=[])
    nested = dict(type="JoinedDataset", datasets=[dict(datasets=[part])])
    config = dict(model=dict(backbone={}), train_dataloader=dict(dataset=nested))
    with pytest.raises(ConfigError, match=r"datasets\.0\.datasets\.0 reads .* 4 bands"):
        fit_bands(config, config["model"])
