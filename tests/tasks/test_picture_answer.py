"""What networks say of pictures that were sent: read, fitted, answered, refused."""

from __future__ import annotations

import io
import struct
import zlib

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from PIL import ExifTags, Image

from cmim.engine.config import ConfigError, load_config, task_model_config
from cmim.task import get_task
from tasks.datasets.errors import DataError
from tasks.picture_answer import fitted, open_network, read_sent
from tasks.predict import predict_image

TINY = {
    "model.backbone.base_channels": 8,
    **{f"model.heads.{t}.in_channels": 64 for t in ("seg", "depth", "normals")},
    **{f"model.heads.{t}.channels": 8 for t in ("seg", "depth", "normals")},
    "test_dataloader.dataset.pipeline.2.size": (48, 64),
}
COLOURS = np.random.default_rng(3).integers(0, 256, (30, 50, 3), dtype=np.uint8)


def written(kind: str, colours: np.ndarray = COLOURS, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(colours).save(file, kind, **options)
    return file.getvalue()


def bomb(rows: int, columns: int, there: int | None = None) -> bytes:
    """A black PNG that is small; ``there`` of its rows are in the file."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        sums = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + sums

    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    data = zlib.compress(bytes((rows if there is None else there) * (columns + 1)))
    parts = ((b"IHDR", header), (b"IDAT", data), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


@pytest.mark.parametrize(
    ("kind", "options"), [("PNG", {}), ("WEBP", dict(lossless=True))]
)
def test_pixels_are_those_of_the_file(kind, options):
    assert (read_sent(written(kind, **options), 1500) == COLOURS).all()


def test_a_photograph_is_turned_as_a_browser_turns_it():
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    assert read_sent(written("JPEG", exif=exif), 1500).shape == (50, 30, 3)


def test_transparency_is_left_out():
    fourth = np.full((30, 50, 1), 7, np.uint8)
    clear = written("PNG", np.concatenate([COLOURS, fourth], axis=2))
    assert (read_sent(clear, 1500) == COLOURS).all()


DAMAGED = bytearray(written("PNG"))
DAMAGED[-20] ^= 1
REFUSED = {
    "another kind": (written("GIF"), "no JPEG, PNG or WebP file; save it"),
    "no picture": (
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        "no JPEG, PNG or WebP",
    ),
    "begins like one": (b"RIFF\0\0\0\0WEBP", "damaged"),
    "damaged": (bytes(DAMAGED), "'picture' is damaged"),
    "cut": (written("JPEG")[:-200], "'picture' is damaged"),
    "large": (
        written("PNG"),
        "30x50 pixels .*; pictures of up to 1000 pixels are read",
    ),
    "bomb": (bomb(5000, 5000), "5000x5000 pixels .* up to 1000 pixels are read"),
    "liar": (bomb(60000, 60000, there=1), "60000x60000 pixels .* can hold"),
    "long": (written("PNG", COLOURS[:3, :25]), "3x25 pixels .* 8 times the other: cut"),
    "frames": (
        written(
            "WEBP",
            COLOURS[:9, :9],
            save_all=True,
            append_images=[Image.fromarray(COLOURS[9:18, 9:18])],
        ),
        "2 frames",
    ),
    "16 bits": (
        cv2.imencode(".png", np.full((4, 4, 3), 999, np.uint16))[1].tobytes(),
        "16 bits a channel",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_is_refused_is_said(kind):
    data, said = REFUSED[kind]
    with pytest.raises(DataError, match=said):
        read_sent(data, 1000)


def test_a_bomb_takes_no_memory():
    import resource

    data = bomb(12000, 12000)
    assert len(data) < 150_000
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(DataError, match="12000x12000 pixels"):
        read_sent(data, 50_000_000)
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    # Making it has taken 144 MB: the bound is that of three colours beyond it.
    assert grown < 50_000, "KiB; its pixels would take 432 MB"


@pytest.mark.parametrize(
    ("size", "fixed", "shape", "inside"),
    [
        ((15, 20), None, (15, 25), (15, 25)),
        (20, None, (20, 33), (20, 33)),
        (None, None, (30, 50), (30, 50)),
        ((15, 20), (60, 60), (60, 60), (36, 60)),
        ((15, 20), (30, 50), (30, 50), (30, 50)),
        ((15, 20), (6, 100), (6, 100), (6, 10)),
    ],
)
def test_pictures_are_fitted_to_networks(size, fixed, shape, inside):
    pixels, found = fitted(COLOURS, size, fixed)
    assert (pixels.shape, found) == ((*shape, 3), inside)
    rows = inside[0]
    if fixed and rows < shape[0]:
        assert (pixels[rows] == pixels[rows - 1]).all(), "the rest mirrors the picture"


def test_no_picture_is_larger_than_the_longest_side():
    pixels, inside = fitted(np.zeros((300, 2000, 3), np.uint8), None)
    assert pixels.shape == (154, 1024 + 3, 3)
    assert inside == pixels.shape[:2]


@pytest.fixture(scope="module")
def joint(tmp_path_factory) -> tuple[Config, str]:
    """A network with three heads, and its checkpoint."""
    options = dict(TINY)
    config = load_config("nyud_joint_fp_small", options)
    torch.manual_seed(0)
    model = MODELS.build(task_model_config(config)).eval()
    file = tmp_path_factory.mktemp("joint") / "last.pth"
    torch.save(dict(state_dict=model.state_dict()), file)
    return config, str(file)


def test_a_network_says_what_predict_says(joint, tmp_path):
    config, file = joint
    network = open_network(config, file, "ours", 1500, warm=False)
    assert (network.name, network.file) == ("ours", "last.pth")
    assert network.tasks == ("seg", "depth", "normals")
    # As large as the network takes it, so that both answer in its own pixels.
    colours = np.random.default_rng(4).integers(0, 256, (48, 60, 3), dtype=np.uint8)
    (tmp_path / "a.png").write_bytes(written("PNG", colours))
    from cmim.engine.evaluate import load_task_model

    model = load_task_model(config, file)
    sample = predict_image(model, tmp_path / "a.png", (48, 64))
    big = open_network(config, file, "ours", 5000, warm=False)
    views = big.answer(written("PNG", colours)).views
    classes = sample.pred_sem_seg.data[0].numpy()
    assert (views["seg"].values[..., 0] == classes).all()
    assert len(views["seg"].names) == 40
    metres = sample.pred_depth_map.data[0].numpy()
    assert np.abs(views["depth"].values[..., 0] / 1000 - metres).max() <= 0.00051
    vectors = sample.pred_normal_map.data.permute(1, 2, 0).numpy()
    said = views["normals"].values / 127.5 - 1
    assert np.abs(said - vectors * [1, -1, -1]).max() < 0.005


def test_views_of_fixed_networks_have_the_pictures_part_only(joint, tmp_path):
    pytest.importorskip("openvino", reason="pip install 'cmim[deploy]'")
    from in_process import run_in_process

    config, file = joint
    out = tmp_path / "net.xml"
    options = [f"{name}={value!r}".replace(" ", "") for name, value in TINY.items()]
    words = ("export", config.filename, file, "--out", out, "--size", 48, 64)
    done = run_in_process(*words, "--cfg-options", *options)
    assert done.returncode == 0, done.stderr
    network = open_network(config, str(out), "exported", 5000)
    assert network.megabytes > 0.05, "with the weights in the .bin"
    views = network.answer(written("PNG")).views
    assert {view.values.shape[:2] for view in views.values()} == {(38, 64)}
    assert {view.picture.shape for view in views.values()} == {(38, 64, 3)}


def test_a_network_without_anything_to_show_is_refused():
    config = load_config("cifar10_resnet20_fp")
    with pytest.raises(ConfigError, match="answers with classes, of which the page"):
        open_network(config, "none.pth", "c", 1000)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0, float("nan")])
def test_edges_are_shown_in_percent(share):
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    sample = SegDataSample()
    sample.set_data(dict(pred_edge_map=PixelData(data=torch.full((1, 2, 3), share))))
    view = get_task("edges").view(sample, (), ())
    (reading,) = view.readings
    said = reading.scale * int(view.values[0, 0, 0]) + reading.offset
    assert abs(said - 100 * np.nan_to_num(share)) < 0.2


@pytest.mark.parametrize("metres", [float("nan"), float("inf"), -1.0, 0.0, 70.0])
def test_depth_that_16_bits_do_not_hold_is_unknown(metres):
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    sample = SegDataSample()
    data = torch.tensor([[[2.0, metres]]])
    sample.set_data(dict(pred_depth_map=PixelData(data=data)))
    view = get_task("depth").view(sample, (), ())
    assert view.values[0, :, 0].tolist() == [2000, view.readings[0].unknown]
    assert view.picture[0, 1].tolist() == [0, 0, 0]
