"""What is written for each task: exact values and a picture."""

import math

import cv2
import numpy as np
import pytest
import torch
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from cmim.task import known_tasks
from tasks.datasets.nyu40 import NYU40_PALETTE
from tasks.pictures import colour_normals, overlay_edges
from tasks.prediction_writer import PredictionWriter
from tasks.side_by_side import side_by_side

SIZE = (12, 16)


@pytest.fixture
def sample(tmp_path) -> SegDataSample:
    path = tmp_path / "kitchen.png"
    cv2.imwrite(str(path), np.full((*SIZE, 3), 90, np.uint8))
    vectors = torch.randn(3, *SIZE, generator=torch.Generator().manual_seed(0))
    sample = SegDataSample(metainfo=dict(img_path=str(path)))
    sample.set_data(
        dict(
            pred_sem_seg=PixelData(data=torch.full((1, *SIZE), 3)),
            pred_depth_map=PixelData(data=torch.linspace(1, 2, 192).view(1, *SIZE)),
            pred_normal_map=PixelData(data=vectors / vectors.norm(dim=0)),
            pred_edge_map=PixelData(data=torch.linspace(0, 1, 192).view(1, *SIZE)),
            pred_logits=torch.zeros(4),
        )
    )
    return sample


def test_every_task_of_a_sample_is_written(sample, tmp_path):
    pictures = PredictionWriter(tmp_path / "out")(sample)
    names = {path.name for path in pictures}
    assert names == {
        "kitchen_overlay.png",
        "kitchen_depth_colour.png",
        "kitchen_normals_colour.png",
        "kitchen_edges_overlay.png",
    }
    assert all(path.is_file() for path in pictures)

    def read(kind):
        return cv2.imread(str(tmp_path / "out" / f"kitchen_{kind}.png"), -1)

    assert (read("labels") == 4).all()
    assert read("depth")[0, 0] == 1000
    levels = read("normals")[..., ::-1].astype(np.float64)
    normals = sample.pred_normal_map.data.permute(1, 2, 0).numpy()
    assert np.abs(2 * levels / 65535 - 1 - normals).max() < 2e-5
    assert (
        np.abs(read("edges") / 255 - sample.pred_edge_map.data[0].numpy()).max() < 3e-3
    )


def test_pictures_of_equal_name_get_a_number(sample, tmp_path):
    writer = PredictionWriter(tmp_path / "out")
    first, again = writer(sample), writer(sample)
    assert first[0].name == "kitchen_overlay.png"
    assert again[0].name == "kitchen_2_overlay.png"
    # Another picture may have the name that was made up: nothing is overwritten.
    other = cv2.imread(sample.img_path)
    cv2.imwrite(str(tmp_path / "kitchen_2.png"), other)
    sample.set_metainfo(dict(img_path=str(tmp_path / "kitchen_2.png")))
    assert writer(sample)[0].name == "kitchen_2_2_overlay.png"


def test_a_palette_needs_a_colour_for_each_class(tmp_path):
    with pytest.raises(ValueError, match="a palette of 1 colours for 2 classes"):
        PredictionWriter(tmp_path, ["a", "b"], [[1, 2, 3]])


def test_labels_alone_are_no_picture(sample, tmp_path):
    for name in ("pred_sem_seg", "pred_depth_map", "pred_normal_map", "pred_edge_map"):
        delattr(sample, name)
    with pytest.raises(ValueError, match="predicts no picture"):
        PredictionWriter(tmp_path)(sample)


def test_colours_of_normals_point_where_they_should():
    right, up = np.array([[[1.0, 0, 0]]]), np.array([[[0, -1.0, 0]]])
    assert colour_normals(right)[0, 0].tolist() == [255, 128, 128]
    assert colour_normals(up)[0, 0].tolist() == [128, 255, 128]


def test_likely_edges_are_red_and_nan_is_none():
    share = np.array([[1.0, 0.5, np.nan]])
    painted = overlay_edges(np.full((1, 3, 3), 255, np.uint8), share)
    assert painted[0].tolist() == [[255, 0, 0], [255, 128, 128], [255, 255, 255]]


def only(tmp_path, **parts) -> SegDataSample:
    path = tmp_path / "a.png"
    cv2.imwrite(str(path), np.full((1, 4, 3), 90, np.uint8))
    sample = SegDataSample(metainfo=dict(img_path=str(path)))
    sample.set_data({k: PixelData(data=torch.tensor(v)) for k, v in parts.items()})
    return sample


@pytest.mark.parametrize("values", [[20.0, 65.0, 70.0, 79.9], [1.0, -2.0, 3.0, 4.0]])
def test_depth_that_no_png_holds_comes_back_from_npy(tmp_path, values):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a_depth.png").write_bytes(b"of an earlier run")
    PredictionWriter(tmp_path / "out")(only(tmp_path, pred_depth_map=[[values]]))
    assert not (tmp_path / "out" / "a_depth.png").exists()
    written = np.load(tmp_path / "out" / "a_depth.npy")
    assert written.tolist() == [np.float32(values).tolist()]


def test_the_largest_depth_of_a_png_comes_back(tmp_path):
    values = [[[0.001, 65.0, 65.535, 1.0]]]
    PredictionWriter(tmp_path / "out")(only(tmp_path, pred_depth_map=values))
    stored = cv2.imread(str(tmp_path / "out" / "a_depth.png"), -1)
    assert stored.tolist() == [[1, 65000, 65535, 1000]]
    assert not (tmp_path / "out" / "a_depth.npy").exists()


@pytest.mark.parametrize("kind", ["depth", "normal", "edge"])
def test_nan_is_no_level_of_a_png(tmp_path, kind):
    planes = 3 if kind == "normal" else 1
    values = [[[0.5, math.nan, 0.5, 0.5]]] * planes
    name = {"normal": "normals", "edge": "edges"}.get(kind, kind)
    PredictionWriter(tmp_path / "out")(only(tmp_path, **{f"pred_{kind}_map": values}))
    assert not (tmp_path / "out" / f"a_{name}.png").exists()
    assert np.isnan(np.load(tmp_path / "out" / f"a_{name}.npy")).sum() == planes


def test_more_classes_than_a_byte_holds_are_refused(tmp_path):
    names = [str(number) for number in range(256)]
    classes = [[[0, 1, 253, 254]]]
    PredictionWriter(tmp_path, names[:255])(only(tmp_path, pred_sem_seg=classes))
    stored = cv2.imread(str(tmp_path / "a_labels.png"), -1)
    assert stored.tolist() == [[1, 2, 254, 255]]
    with pytest.raises(ValueError, match="256 classes do not fit"):
        PredictionWriter(tmp_path, names)


def test_a_class_without_a_name_is_refused(tmp_path):
    sample = only(tmp_path, pred_sem_seg=[[[0, 1, 2, 1]]])
    with pytest.raises(ValueError, match=r"class 2 is predicted .* names of 2 classes"):
        PredictionWriter(tmp_path / "out", ["a", "b"])(sample)


def test_side_by_side_shows_the_picture_and_every_head(sample, tmp_path):
    row = PredictionWriter(tmp_path / "out", beside=True)(sample)[-1]
    assert row.name == "kitchen_side_by_side.png"
    shown = cv2.imread(str(row))[24 : 24 + SIZE[0], :, ::-1]
    drawn = {
        name: task.draw(sample, NYU40_PALETTE).prediction
        for name, task in known_tasks().items()
        if task.draw and task.prediction in sample
    }
    assert list(drawn) == ["seg", "depth", "edges", "normals"]
    expected = [np.full((*SIZE, 3), 90), *drawn.values()]
    for column, picture in enumerate(expected):
        left = column * (SIZE[1] + 4)
        assert np.array_equal(shown[:, left : left + SIZE[1]], picture)
    # The picture itself may be of that name, and stays.
    other = PredictionWriter(tmp_path / "out", kept=[row], beside=True)(sample)
    assert other[-1].name == "kitchen_2_side_by_side.png"


def test_a_frame_without_a_file_is_drawn_on(sample):
    frame = np.full((*SIZE, 3), 7, np.uint8)
    sample.set_metainfo(dict(img_path="no such file", shown=frame))
    row = side_by_side(sample)
    assert (row[24 : 24 + SIZE[0], : SIZE[1]] == 7).all()
    alone = side_by_side(sample, with_image=False)
    assert row.shape[1] - alone.shape[1] == SIZE[1] + 4
