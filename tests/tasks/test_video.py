"""Videos and cameras: every frame in its place, and what is wrong in one sentence."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from tasks.datasets.errors import DataError
from tasks.video import VideoReader, VideoWriter

LEVELS = (20, 70, 120, 170, 220)


def write_video(path: Path, frames: list[np.ndarray], rate: float = 10) -> Path:
    """Frames of RGB as a video of JPEGs; skips where OpenCV cannot write one."""
    height, width = frames[0].shape[:2]
    code = cv2.VideoWriter.fourcc(*"MJPG")
    writer = cv2.VideoWriter(str(path), code, rate, (width, height))
    if not writer.isOpened():
        pytest.skip("OpenCV has no encoder MJPG here: pip's opencv-python-headless has")
    for frame in frames:
        writer.write(frame[..., ::-1])
    writer.release()
    return path


def flat(level: int, size: tuple[int, int] = (48, 64)) -> np.ndarray:
    """A picture that is redder than blue."""
    return np.full((*size, 3), (level, level // 2, 5), np.uint8)


@pytest.fixture
def video(tmp_path) -> Path:
    return write_video(tmp_path / "walk.avi", [flat(level) for level in LEVELS])


class Camera:
    """A camera that shows these frames, and then nothing or what it is told."""

    def __init__(self, frames: list[np.ndarray], then: type | None = None) -> None:
        self.frames = list(frames)
        self.then = then

    def isOpened(self) -> bool:
        return True

    def read(self) -> tuple[bool, np.ndarray | None]:
        if self.frames:
            return True, self.frames.pop(0)
        if self.then:
            raise self.then
        return False, None

    def get(self, what: int) -> float:
        return -1.0

    def set(self, what: int, value: float) -> bool:
        return False

    def release(self) -> None:
        pass


def test_frames_come_in_order_and_as_rgb(video):
    reader = VideoReader(video)
    means = [frame.mean(axis=(0, 1)) for frame in reader]
    assert (reader.rate, reader.promised, reader.read) == (10, 5, 5)
    assert reader.lost() is None
    expected = [(level, level // 2, 5) for level in LEVELS]
    np.testing.assert_allclose(means, expected, atol=6)


def test_what_is_written_is_read_again(tmp_path):
    writer = VideoWriter(tmp_path / "out.mp4", rate=12)
    for level in LEVELS:
        # Of odd sides: the last row and column are left out.
        writer.write(flat(level, (49, 65)), times=2)
    writer.close()
    reader = VideoReader(tmp_path / "out.mp4")
    frames = list(reader)
    assert (len(frames), reader.rate, frames[0].shape) == (10, 12, (48, 64, 3))
    expected = [level for level in LEVELS for _ in range(2)]
    np.testing.assert_allclose([f[..., 0].mean() for f in frames], expected, atol=8)


def test_a_full_disk_is_seen(tmp_path):
    writer = VideoWriter(tmp_path / "out.mp4", rate=12)
    writer.write(flat(3))
    writer.written += 5
    with pytest.raises(DataError, match=r"'out\.mp4' was not written whole"):
        writer.close()


def test_a_file_that_is_cut_off_is_read_and_said(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (60, 48, 64, 3), np.uint8)
    whole = write_video(tmp_path / "whole.avi", list(noise))
    cut = tmp_path / "cut.avi"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    reader = VideoReader(cut)
    count = len(list(reader))
    assert 20 < count < 40
    said = f"video '{cut}' ends after {count} of the 60 frames that it says it has: "
    assert (reader.lost() or "").startswith(said)


def test_headers_may_round(video):
    reader = VideoReader(video)
    list(reader)
    reader.promised = 6
    assert reader.lost() is None
    reader.promised = 7
    assert reader.lost()


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("text.mp4", b"no video", "cannot be opened as a video"),
        ("empty.avi", b"", "cannot be opened as a video"),
        ("missing.mp4", None, "does not exist"),
    ],
)
def test_what_is_no_video_is_refused_in_silence(name, content, said, tmp_path, capfd):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=f"^video '{path}' {said}"):
        VideoReader(path)
    assert capfd.readouterr() == ("", ""), "OpenCV says the same in many lines"


def test_a_video_without_frames_is_refused(tmp_path):
    path = tmp_path / "nothing.avi"
    code = cv2.VideoWriter.fourcc(*"MJPG")
    cv2.VideoWriter(str(path), code, 10, (64, 48)).release()
    if not path.is_file():
        pytest.skip("OpenCV writes no empty video here")
    with pytest.raises(DataError, match="has no frames"):
        list(VideoReader(path))


def test_a_change_of_size_is_refused(monkeypatch):
    shown = Camera([flat(9), flat(9), flat(9, (32, 64))])
    monkeypatch.setattr(cv2, "VideoCapture", lambda source: shown)
    said = (
        r"camera 0 changes from 48x64 to 32x64 pixels \(rows x columns\) at frame 3; "
    )
    with pytest.raises(DataError, match=said):
        list(VideoReader(0))


def test_a_camera_that_is_not_there_is_said_in_silence(capfd):
    with pytest.raises(DataError, match="camera 97 cannot be opened: there is none"):
        VideoReader(97)
    assert capfd.readouterr() == ("", "")


def test_a_camera_that_stops_is_said(monkeypatch):
    monkeypatch.setattr(cv2, "VideoCapture", lambda source: Camera([flat(9)]))
    reader = VideoReader(2)
    assert len(list(reader)) == 1
    assert (reader.rate, reader.promised) == (25, None)
    assert reader.lost() == "camera 2 stopped after 1 frames; is it still there?"
