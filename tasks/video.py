"""Frames of video files and cameras, and videos of pictures, by OpenCV."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tasks.datasets.errors import DataError

# FFmpeg is asked once, when OpenCV opens its first video. What it prints there is said
# here in a sentence.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
VIDEO_ENDINGS = (
    *(".avi", ".m4v", ".mjpeg", ".mkv", ".mov"),
    *(".mp4", ".mpeg", ".mpg", ".webm", ".wmv"),
)
# Where a source does not say how many frames a second it has, or says nonsense.
_USUAL_RATE, _FASTEST = 25.0, 1000.0
# The only encoder that OpenCV's packages have for .mp4 on all systems.
_CODEC = "mp4v"


def is_video(path: str | Path) -> bool:
    """Whether a file is taken for a video, by its ending.

    Examples:
        >>> is_video("walk.MP4"), is_video("walk.png")
        (True, False)
    """
    return Path(path).suffix.lower() in VIDEO_ENDINGS


class VideoReader:
    """The frames of a video file or a camera, each ``(H, W, 3)`` uint8 RGB.

    Args:
        source: Path of a file, or number of a camera, from 0 on.

    Attributes:
        is_camera: Whether it goes on until somebody stops it.
        rate: Frames a second.
        promised: Frames that the file says it has; None where it does not say.
        read: Frames that were read so far.

    Raises:
        DataError: It is missing or cannot be opened.
    """

    def __init__(self, source: str | Path | int) -> None:
        self.is_camera = isinstance(source, int)
        self.name = f"camera {source}" if self.is_camera else f"video '{source}'"
        if not isinstance(source, int) and not Path(source).is_file():
            raise DataError(f"{self.name} does not exist; give the path of a video")
        with _silent_opencv():
            self._capture = cv2.VideoCapture(source if self.is_camera else str(source))
        if not self._capture.isOpened():
            raise DataError(f"{self.name} cannot be opened{self._reason()}")
        if self.is_camera:
            # What waited while the network computed is not what is there now.
            self._capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
        rate = self._capture.get(cv2.CAP_PROP_FPS)
        self.rate = rate if 0 < rate <= _FASTEST else _USUAL_RATE
        count = self._capture.get(cv2.CAP_PROP_FRAME_COUNT)
        known = not self.is_camera and math.isfinite(count) and count > 0
        self.promised = int(count) if known else None
        self.read = 0

    def _reason(self) -> str:
        if self.is_camera:
            return (
                ": there is none of this number, another program has it, or reading it "
                "is not allowed; on Linux, 'ls /dev/video*' lists those there are"
            )
        return (
            " as a video: it is damaged, or of a kind that OpenCV cannot decode here; "
            "get it again, or convert it to .mp4"
        )

    def __iter__(self) -> Iterator[NDArray[np.uint8]]:
        """The frames from the current one on.

        Raises:
            DataError: There is none, or one of another size than the first.
        """
        size: tuple[int, ...] | None = None
        while True:
            with _silent_opencv():
                there, frame = self._capture.read()
            if not there:
                break
            if size is None:
                size = frame.shape[:2]
            if frame.shape[:2] != size:
                raise DataError(
                    f"{self.name} changes from {size[0]}x{size[1]} to "
                    f"{frame.shape[0]}x{frame.shape[1]} pixels (rows x columns) at "
                    f"frame {self.read + 1}; cut it there into two videos"
                )
            self.read += 1
            yield np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
        if not self.read:
            raise DataError(f"{self.name} has no frames; give one that was recorded")

    def lost(self) -> str | None:
        """What is missing once all frames are read, as a sentence; None for nothing.

        Files round the length that they state: one frame or 1 % less is nothing.
        """
        if self.is_camera:
            return f"{self.name} stopped after {self.read} frames; is it still there?"
        missing = (self.promised or 0) - self.read
        if missing <= max(1, self.read // 100):
            return None
        return (
            f"{self.name} ends after {self.read} of the {self.promised} frames that it "
            "says it has: it is cut off or damaged; get it again"
        )

    def close(self) -> None:
        """Give the file or the camera back."""
        self._capture.release()


class VideoWriter:
    """Writes pictures as frames of an ``.mp4``, the first of which gives the size.

    A last row or column that would make the size odd is left out, as the encoder wants.

    Args:
        path: File to write.
        rate: Frames a second.
    """

    def __init__(self, path: str | Path, rate: float) -> None:
        self.path = Path(path)
        self.rate = rate
        self.written = 0
        self._writer: cv2.VideoWriter | None = None

    def write(self, picture: NDArray[np.uint8], times: int = 1) -> None:
        """Add a frame, ``(H, W, 3)`` uint8 RGB, so many times.

        Raises:
            DataError: OpenCV has no encoder here.
        """
        height, width = (side - side % 2 for side in picture.shape[:2])
        if self._writer is None:
            code = cv2.VideoWriter.fourcc(*_CODEC)
            with _silent_opencv():
                self._writer = cv2.VideoWriter(
                    str(self.path), code, self.rate, (width, height)
                )
            if not self._writer.isOpened():
                raise DataError(
                    f"'{self.path.name}' cannot be written: OpenCV has no encoder "
                    f"{_CODEC} here, which pip's opencv-python-headless brings"
                )
        frame = cv2.cvtColor(picture[:height, :width], cv2.COLOR_RGB2BGR)
        for _ in range(times):
            self._writer.write(frame)
            self.written += 1

    def close(self) -> None:
        """End the file, and look whether it holds what was written.

        OpenCV says nothing where a disk is full.

        Raises:
            DataError: It holds less.
        """
        if self._writer is None:
            return
        self._writer.release()
        try:
            reader = VideoReader(self.path)
            reader.close()
            whole = (reader.promised or 0) >= self.written
        except DataError:
            whole = False
        if not whole:
            raise DataError(
                f"'{self.path.name}' was not written whole; is the disk full?"
            )


@contextlib.contextmanager
def _silent_opencv() -> Iterator[None]:
    """Without OpenCV's lines: what went wrong is said in a sentence."""
    before = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)
