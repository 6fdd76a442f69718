"""Files of another task are refused, whatever their layers."""

import copy

import pytest
from mmengine.config import Config

from cmim.identity import _note, check_identity, identity_of, part_read

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


@pytest.mark.parametrize("missing", ["config", "file"])
def test_unknown_classes_are_said(missing, monkeypatch):
    said = []
    monkeypatch.setattr("cmim.identity.print_log", lambda text, **_: said.append(text))
    _note.cache_clear()
    unknown = identity_of(dict(model=CONFIG.model))
    assert unknown["classes"] is None
    pair = (unknown, identity_of(CONFIG))
    check_identity(*(pair if missing == "config" else pair[::-1]), "a.pth")
    assert len(said) == 1
    assert f"'a.pth' are not compared: the {missing} does not name them" in said[0]
    # A head without classes has none to compare.
    depth = identity_of(changed(model__decode_head__num_classes=None))
    check_identity(depth, depth, "a.pth")
    assert len(said) == 1


def test_classes_are_those_of_the_training_data_with_or_without_a_palette():
    import tasks.datasets.nyud  # noqa: F401 - registers the data set

    def classes(**loaders):
        parts = {f"{k}_dataloader": dict(dataset=v) for k, v in loaders.items()}
        return identity_of(dict(model=CONFIG.model, **parts))["classes"]

    named = (dict(metainfo=dict(classes=[name])) for name in ("a", "b"))
    assert classes(test=next(named), train=next(named)) == ["b"]
    plain = classes(test=dict(type="NYUv2Dataset"))
    assert len(plain) == 40
    assert classes(test=dict(type="NYUv2Dataset", metainfo=dict(palette=[]))) == plain


def test_the_depth_range_is_the_one_of_the_head():
    """Given or by default; what the evaluator measures is no part of the network."""
    import tasks.depth  # noqa: F401 - registers the head

    def found(evaluator=None, **values):
        head = dict(type="DepthHead", **values)
        return identity_of(
            dict(model=dict(decode_head=head), test_evaluator=evaluator or {})
        )

    assert found() == found(depth_range=(0.1, 10)) == found(dict(depth_range=(1, 80)))
    with pytest.raises(
        ValueError, match=r"'depth_range': \[1.0, 80.0\].*--cfg-options"
    ):
        check_identity(found(), found(depth_range=(1, 80)), "a.pth")


def test_the_wrapper_and_files_without_a_note_change_nothing():
    wrapped = Config(dict(CONFIG.to_dict(), model=dict(model=CONFIG.model)))
    assert identity_of(wrapped) == identity_of(CONFIG)
    check_identity(identity_of(CONFIG), identity_of(wrapped), "a.pth")
    check_identity(identity_of(CONFIG), None, "a.pth")


def test_files_that_do_not_name_the_task_of_their_only_head_are_compared():
    import tasks.depth  # noqa: F401 - registers the head

    own = identity_of(CONFIG)
    saved = dict(own, heads=dict(one=own["heads"]["depth"]))
    check_identity(own, saved, "a.pth")
    names = ["decode_head.conv_seg"]
    check_identity(part_read(own, names), part_read(saved, names), "a.pth")
    other = dict(own, heads=dict(one=dict(own["heads"]["depth"], num_classes=4)))
    with pytest.raises(ValueError, match="is of another task: its heads"):
        check_identity(own, other, "a.pth")
