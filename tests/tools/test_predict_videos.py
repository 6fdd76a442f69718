"""`predict` on videos and a camera, from a checkpoint and from an exported file."""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from fault_run import CONFIG, Outcome, assert_said, options, run

from cmim.engine.config import load_config
from cmim.engine.evaluate import load_task_model
from tasks.pictures import colour_classes, read_image
from tasks.predict import network_size, predict_image
from tasks.video import VideoReader, VideoWriter

pytestmark = pytest.mark.full  # Whole runs of tools.
FRAMES = 5
CLOSE = 20  # Grey levels that the compression of noise changes, in the mean.


@pytest.fixture(autouse=True)
def tracebacks(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


@pytest.fixture(scope="module")
def made(rooms, tmp_path_factory) -> Path:
    """A folder with a checkpoint of two steps and a video of five rooms."""
    folder = tmp_path_factory.mktemp("made")
    done = run("train", CONFIG, "--work-dir", folder, *options(data_root=rooms))
    assert done.status == 0, done
    writer = VideoWriter(folder / "walk.mp4", rate=8)
    for path in sorted((rooms / "images").iterdir())[:FRAMES]:
        try:
            writer.write(read_image(path))
        except ValueError as error:
            pytest.skip(str(error))
    writer.close()
    return folder


def predict(made: Path, rooms: Path, *words: object, model: str = "last.pth"):
    return run("predict", CONFIG, made / model, *words, *options(data_root=rooms))


def frames_of(outcome: Outcome) -> list[np.ndarray]:
    assert outcome.status == 0, outcome
    return list(VideoReader(Path(outcome.out.strip())))


def test_each_frame_is_drawn_beside_what_is_predicted_of_it(made, rooms, tmp_path):
    outcome = predict(
        made, rooms, made / "walk.mp4", "--side-by-side", "--out", tmp_path
    )
    found = frames_of(outcome)
    assert outcome.out == f"{tmp_path / 'walk_predicted.mp4'}\n"
    assert len(found) == FRAMES
    last = outcome.err.splitlines()[-1]
    assert last.startswith("5 images in ")
    assert last.endswith(" images/s")
    config = load_config(made / Path(CONFIG).name)
    model = load_task_model(config, str(made / "last.pth"))
    for number, frame in enumerate(VideoReader(made / "walk.mp4")):
        cv2.imwrite(str(tmp_path / "frame.png"), frame[..., ::-1])
        sample = predict_image(model, tmp_path / "frame.png", network_size(config))
        classes = colour_classes(sample.pred_sem_seg.data[0].numpy())
        # Under 24 rows of titles, and 4 columns apart.
        shown = found[number][24:72]
        assert shown.shape == (48, 132, 3)
        for part, expected in ((shown[:, :64], frame), (shown[:, 68:], classes)):
            assert np.abs(part.astype(int) - expected).mean() < CLOSE
        away = [np.abs(other[24:72, :64].astype(int) - frame).mean() for other in found]
        assert int(np.argmin(away)) == number


def test_without_side_by_side_the_drawing_stands_alone(made, rooms, tmp_path):
    words = (made / "walk.mp4", "--frames", 2, "--out", tmp_path)
    found = frames_of(predict(made, rooms, *words))
    assert [frame.shape for frame in found] == [(76, 64, 3)] * 2


def test_an_exported_file_draws_the_same(made, rooms, tmp_path):
    pytest.importorskip("openvino")
    words = (made / "last.pth", "--out", made / "seg.xml", "--size", 48, 64)
    assert run("export", CONFIG, *words, *options(data_root=rooms)).status == 0
    both = [
        frames_of(
            predict(made, rooms, made / "walk.mp4", "--out", tmp_path / m, model=m)
        )
        for m in ("last.pth", "seg.xml")
    ]
    assert len(both[0]) == len(both[1]) == FRAMES
    difference = np.abs(np.array(both[0], int) - np.array(both[1], int))
    assert difference.mean() < 2


def test_pictures_videos_and_equal_names_in_one_call(made, rooms, tmp_path):
    picture = sorted((rooms / "images").iterdir())[0]
    again = tmp_path / "walk.avi"
    again.write_bytes((made / "walk.mp4").read_bytes())
    words = (made / "walk.mp4", picture, again, "--side-by-side", "--out", tmp_path)
    outcome = predict(made, rooms, *words)
    assert outcome.status == 0, outcome
    names = [Path(line).name for line in outcome.out.splitlines()]
    stem = picture.stem
    assert names == [
        f"{stem}_overlay.png",
        f"{stem}_side_by_side.png",
        "walk_predicted.mp4",
        "walk_predicted_2.mp4",
    ]
    shown = read_image(tmp_path / f"{stem}_side_by_side.png")
    assert np.array_equal(shown[24:72, :64], read_image(picture))
    assert outcome.err.splitlines()[-1].startswith("11 images in ")


def test_a_cut_video_leaves_what_there_was(made, rooms, tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (60, 48, 64, 3), np.uint8)
    code = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(tmp_path / "whole.avi"), code, 10, (64, 48))
    if not writer.isOpened():
        pytest.skip("OpenCV has no encoder MJPG here")
    for frame in noise:
        writer.write(frame)
    writer.release()
    data = (tmp_path / "whole.avi").read_bytes()
    (tmp_path / "cut.avi").write_bytes(data[: len(data) // 3])
    outcome = predict(made, rooms, tmp_path / "cut.avi", "--out", tmp_path)
    target = tmp_path / "cut_predicted.mp4"
    assert_said(outcome, "of the 60 frames", "cut off", f"'{target}' shows what")
    count = len(list(VideoReader(target)))
    assert f"ends after {count} of" in outcome.error


class Camera:
    """Eight frames a second, while the network manages two; then Ctrl-C."""

    def __init__(self, frames: int) -> None:
        self.left = frames

    def __call__(self, source: object) -> Camera:
        return self

    def isOpened(self) -> bool:
        return True

    def read(self) -> tuple[bool, np.ndarray]:
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        return True, np.full((48, 64, 3), 99, np.uint8)

    def get(self, what: int) -> float:
        return 8.0 if what == cv2.CAP_PROP_FPS else -1.0

    def set(self, what: int, value: float) -> bool:
        return False

    def release(self) -> None:
        pass


@pytest.fixture
def camera(monkeypatch) -> None:
    """The first capture that is opened is the camera, others are files."""
    real, waiting = cv2.VideoCapture, Camera(3)
    monkeypatch.setattr(
        cv2, "VideoCapture", lambda s: waiting if isinstance(s, int) else real(s)
    )
    clock = iter(np.arange(0, 50, 0.5))
    monkeypatch.setattr(
        "tasks.predict_video.time.perf_counter", lambda: float(next(clock))
    )


def test_ctrl_c_ends_a_camera_and_the_video_lasts_as_long(
    made, rooms, tmp_path, camera
):
    outcome = predict(made, rooms, "--camera", 0, "--out", tmp_path)
    found = frames_of(outcome)
    assert outcome.out == f"{tmp_path / 'camera_0_predicted.mp4'}\n"
    assert "3 images in " in outcome.err
    assert len(found) == 12, "1.5 seconds of 8 frames"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--camera 97", "camera 97 cannot be opened"),
        ("--camera x", "--camera|'x'"),
        ("--camera 0 a.png", "--camera N alone"),
        ("{made}/last.mp4", "last.mp4' does not exist"),
        ("{place}/text.mp4", "text.mp4' cannot be opened as a video"),
        ("{made}/walk.mp4 --frames 0", "--frames|'0'"),
        ("", "images, folders or videos are needed"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(words, said, made, rooms, tmp_path):
    (tmp_path / "text.mp4").write_text("no")
    given = words.format(made=made, place=tmp_path).split()
    outcome = predict(made, rooms, *given, "--out", tmp_path / "out")
    assert_said(outcome, *said.split("|"))
    assert not list((tmp_path / "out").glob("*"))
