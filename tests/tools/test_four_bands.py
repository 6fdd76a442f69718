"""A network of red, green, blue and near infrared, through every tool."""

import shutil

import cv2
import numpy as np
import pytest
import torch
from fault_run import ROOT, assert_said, run

from cmim.deploy.numpy_reference import RawNetworkError, load_network

pytestmark = pytest.mark.full  # Whole runs of tools.

PAGE = (ROOT / "docs/new_dataset.md").read_text(encoding="utf-8")
SMALL = """
train_dataloader.update(batch_size=2, num_workers=0)
train_dataloader.dataset.pipeline[1].update(base_size=48, crop_size=(32, 48), colour=0)
test_dataloader.update(num_workers=0)
test_dataloader.dataset.pipeline[1].update(shorter=48)
model.model.backbone.update(base_channels=8, in_channels=4)
model.model.decode_head.update(in_channels=64, channels=8)
model.model.data_preprocessor.update(mean=[120, 120, 120, 90], std=[60, 60, 60, 50])
model.update(queue=8, pixels=4)
train_cfg.update(max_iters=4)
default_hooks["checkpoint"].update(interval=2)
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Pictures of four bands, also as three with the fourth aside, and a config."""
    home = tmp_path_factory.mktemp("bands")
    shutil.copytree(ROOT / "configs/_base_", home / "_base_")
    random = np.random.default_rng(3)
    for split, count in (("train", 4), ("val", 5)):
        for number in range(count):
            labels = np.broadcast_to(np.arange(64) // 22, (48, 64)).astype(np.uint8)
            bands = random.integers(0, 60, (48, 64, 4)) + 60 * labels[..., None]
            fourth = bands[..., 3].astype(np.uint16) * 20
            files = dict(images=bands, labels=labels, rgb=bands[..., :3], far=fourth)
            for folder, array in files.items():
                target = home / "data" / folder / split / f"{number}.png"
                target.parent.mkdir(parents=True, exist_ok=True)
                kind = np.uint16 if folder == "far" else np.uint8
                cv2.imwrite(str(target), array.astype(kind))
    text = PAGE.split("`configs/streets_seg_bireal.py`\n\n```python\n")[1].split("```")[
        0
    ]
    text = text.replace("data/streets", str(home / "data"))
    own = text.replace("images/{split}/{name}.jpg", "images/{split}/{name}.png")
    one = own.replace("_files = dict(", "_files = dict(image_channels=4, ")
    (home / "bands.py").write_text(one + SMALL)
    two = own.replace("images/{split}/{name}.png", "rgb/{split}/{name}.png")
    extra = 'image_extra="far/{split}/{name}.png", image_white=5100, '
    two = two.replace("_files = dict(", f"_files = dict({extra}")
    (home / "extra.py").write_text(two + SMALL)
    return home


@pytest.fixture(scope="module")
def trained(project):
    """Trained, and resumed in the middle."""
    folder = project / "run"
    words = (project / "bands.py", "--work-dir", folder)
    done = run("train", *words)
    assert done.status == 0, done.err
    whole = torch.load(folder / "last.pth", weights_only=False)["state_dict"]
    (folder / "previous.pth").rename(folder / "last.pth")
    done = run("train", *words, "--resume")
    assert done.status == 0, done.err
    again = torch.load(folder / "last.pth", weights_only=False)["state_dict"]
    assert all(torch.equal(again[name], whole[name]) for name in whole)
    return folder / "last.pth"


def test_check_data_reads_them(project):
    done = run("check_data", project / "bands.py")
    assert done.status == 0, done.err
    assert "train: 4 pictures of 48x64" in done.out


@pytest.mark.parametrize(
    ("tool", "words"),
    [
        ("test", ["CONFIG", "CHECKPOINT"]),
        ("predict", ["CONFIG", "CHECKPOINT", "PICTURE", "--out", "OUT"]),
        ("summary", ["CONFIG", "--size", "32", "48"]),
        ("bench", ["step", "CONFIG", "--steps", "1"]),
        pytest.param(
            "analyze",
            ["CONFIG", "CHECKPOINT", "--images", "4", "--out", "OUT"],
            marks=pytest.mark.slow,
        ),
    ],
)
def test_every_tool_takes_them(project, trained, tmp_path, tool, words):
    places = dict(CONFIG=project / "bands.py", CHECKPOINT=trained, OUT=tmp_path)
    places["PICTURE"] = project / "data/images/val/0.png"
    done = run(tool, *(places.get(word, word) for word in words))
    assert done.status == 0, done.err


@pytest.mark.slow
def test_exported_files_take_them(project, trained, tmp_path):
    config = project / "bands.py"
    for name in ("net.xml", "net.npz", "net.onnx"):
        words = ["--out", tmp_path / name, "--size", 48, 64, "--verify"]
        words += ["--sample", tmp_path / "sample.npz"]
        done = run("export", config, trained, *words)
        assert done.status == 0, done.err
    done = run("test", config, tmp_path / "net.xml")
    assert done.status == 0, done.err
    network = load_network(tmp_path / "net.npz")
    sample = np.load(tmp_path / "sample.npz")
    assert sample["image"].shape == (48, 64, 4)
    output = network.run(network.normalise(sample["image"]))
    assert np.allclose(output, sample["output"], atol=1e-4)
    with pytest.raises(RawNetworkError, match=r"not \(\[N,\] H, W, 4\)"):
        network.normalise(sample["image"][..., :3])


@pytest.mark.slow
def test_latency_is_measured(project, trained, tmp_path):
    words = ["--size", 32, 48, "--rounds", 1, "--threads", 1, "--out", tmp_path]
    done = run("bench", "latency", project / "bands.py", trained, *words)
    assert done.status == 0, done.err


def test_the_fourth_band_may_lie_in_a_file_of_its_own(project, trained, tmp_path):
    """The same pixels from two files give the same figures."""
    from tasks.datasets.frame_files import read_frame

    both = [
        read_frame(dict(img_path=str(project / "data/images/val/1.png"), **one))["img"]
        for one in (dict(image_channels=4),)
    ]
    extra = dict(extra_path=str(project / "data/far/val/1.png"), image_white=5100)
    picture = str(project / "data/rgb/val/1.png")
    both.append(read_frame(dict(img_path=picture, **extra))["img"])
    assert np.array_equal(*both)
    for tool, words in (("check_data", ()), ("test", (trained,))):
        done = run(tool, project / "extra.py", *words)
        assert done.status == 0, done.err
    words = (project / "extra.py", trained, "--out", tmp_path)
    assert_said(run("predict", words[0], trained, picture, *words[2:]), "np.dstack")
    np.save(tmp_path / "stacked.npy", both[0])
    done = run("predict", words[0], trained, tmp_path / "stacked.npy", *words[2:])
    assert done.status == 0, done.err


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("model.model.data_preprocessor.mean=[1,2,3]", "mean has 3 numbers"),
        ("model.model.data_preprocessor.std=[1,2,3,4,5]", "std has 5 numbers"),
        ("model.model.data_preprocessor.bgr_to_rgb=True", "would leave bands out"),
        ("model.model.backbone.in_channels=3", "in_channels 3"),
        ("test_dataloader.dataset.image_channels=3", "image_channels=4 in the data"),
        ("train_dataloader.dataset.pipeline.1.colour=0.2", "set colour=0"),
    ],
)
def test_parts_that_disagree_about_bands_are_refused(project, option, said):
    for tool in ("check_data", "train"):
        done = run(tool, project / "bands.py", "--cfg-options", option)
        assert_said(done, said)
