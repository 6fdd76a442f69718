"""Files of another task are refused, whatever their layers."""

import copy

import pytest
from mmengine.config import Config

from cmim.identity import check_identity, identity_of

CONFIG = Config(
    dict(
        model=dict(
            data_preprocessor=dict(mean=[1, 2, 3], std=[4, 5, 6]),
            decode_head=dict(type="DepthHead", num_classes=3, depth_range=(0.1, 10.0)),
        ),
        test_dataloader=dict(dataset=dict(metainfo=dict(classes=["a", "b", "c"]))),
    )
)


def changed(**parts):
    config = copy.deepcopy(CONFIG)
    config.merge_from_dict({name.replace("__", "."): v for name, v in parts.items()})
    return config


CASES = {
    "head": dict(model__decode_head__type="NormalHead"),
    "count": dict(model__decode_head__num_classes=4),
    "range": dict(model__decode_head__depth_range=(0.1, 80.0)),
    "order": dict(test_dataloader__dataset__metainfo__classes=["b", "a", "c"]),
    "mean": dict(model__data_preprocessor__mean=[1, 2, 4]),
    "std": dict(model__data_preprocessor__std=[4, 5, 7]),
    "channels": dict(model__data_preprocessor__bgr_to_rgb=True),
}


@pytest.mark.parametrize("name", CASES)
def test_each_difference_is_refused_and_named(name):
    import tasks.depth
    import tasks.normals  # noqa: F401 - registers the heads

    own, saved = identity_of(changed(**CASES[name])), identity_of(CONFIG)
    with pytest.raises(ValueError, match=r"'a.pth' is of another task: .*, and this"):
        check_identity(own, saved, "a.pth")


def test_the_wrapper_and_files_without_a_note_change_nothing():
    wrapped = Config(dict(CONFIG.to_dict(), model=dict(model=CONFIG.model)))
    assert identity_of(wrapped) == identity_of(CONFIG)
    check_identity(identity_of(CONFIG), identity_of(wrapped), "a.pth")
    check_identity(identity_of(CONFIG), None, "a.pth")
