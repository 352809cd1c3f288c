"""Frames of a video through PyAV (the extra `official`): four, evenly spaced, as LAVIS examines."""

from __future__ import annotations

import functools
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from workbench import code
from workbench.data.images import LARGEST_PICTURE, inside
from workbench.data.official.extras import extra
from workbench.data.official.pictures import FRAMES
from workbench.data.official.rows import DataFault
from workbench.files import replacing

WHOLE = 0.95  # of the frames that the file's head promises: indices of old AVI files are a little off
LONG = 0.9  # of the seconds that it promises: its sound may end later than its pictures
MICROSECONDS = 1_000_000  # in a second: PyAV's unit of a container's duration
_AGAIN = "get the video again"


def frames(root: Path, video: str, count: int = FRAMES) -> list[Image.Image]:
    """RGB frames number floor(k * n / count) of the n there are, for k = 0 ... count - 1.

    LAVIS's `uniform` sampling (processors/alpro_processors.py). A video with fewer frames than `count`
    repeats some.

    Raises:
        DataFault: for a file that is not a video, is cut off, or is too large a picture.
    """
    av = extra("av")
    path = inside(root, video)
    try:
        with av.open(str(path)) as container:
            total = _length(container, video)
        with av.open(str(path)) as container:
            wanted = {k * total // count for k in range(count)}
            shown: dict[int, Image.Image] = {}
            for number, frame in enumerate(_decoded(container)):
                if number in wanted:
                    shown[number] = frame.to_image().convert("RGB")
                if len(shown) == len(wanted):
                    break
    except (av.FFmpegError, OSError, ValueError) as error:
        if isinstance(error, DataFault):
            raise
        raise DataFault(video, "", f"is damaged or not a video ({error})", _AGAIN) from error
    if len(shown) < len(wanted):
        raise DataFault(video, f"frame {max(wanted)} of {total}", "cannot be decoded", _AGAIN)
    return [shown[k * total // count] for k in range(count)]


def write_frames(root: Path, video: str, path: Path) -> None:
    """Writes the frames of a video into an uncompressed archive of PNGs; time stamps are fixed.

    Raises:
        DataFault: as frames.
    """
    shown = frames(root, video)
    with replacing(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as archive:
        for number, picture in enumerate(shown):
            buffer = io.BytesIO()
            picture.save(buffer, "PNG", compress_level=1)
            archive.writestr(zipfile.ZipInfo(f"{number}.png"), buffer.getvalue())
        archive.comment = stamp(root, video)


def stamp(root: Path, video: str) -> bytes:
    """What tells whether frames were made of the video as it is, in the way of today.

    Its size and time of change, the number of frames, and this module.
    """
    state = inside(root, video).stat()
    return f"{state.st_size} {state.st_mtime_ns} {FRAMES} {_code()}".encode()


@functools.cache
def _code() -> str:
    reached = {code.name_of(path) for path in code.closure(__name__)}
    return code.digest([__name__], without=reached - {__name__})


def _length(container: Any, video: str) -> int:
    """The number of frames, counted without decoding."""
    if not container.streams.video:
        raise DataFault(video, "", "holds no video stream", _AGAIN)
    stream = container.streams.video[0]
    if stream.width * stream.height > LARGEST_PICTURE:
        size = f"{stream.width} x {stream.height}"
        raise DataFault(video, "", f"has frames of {size} pixels", f"scale it below {LARGEST_PICTURE}")
    packets = [(packet.pts, packet.duration or 0) for packet in container.demux(stream) if packet.size > 0]
    total = len(packets)
    if not total or total < WHOLE * stream.frames:
        promised = f" of {stream.frames}" if stream.frames else ""
        raise DataFault(video, "", f"is cut off: it holds {total}{promised} frames", _AGAIN)
    seconds = container.duration / MICROSECONDS if container.duration else 0
    last = max((pts + length for pts, length in packets if pts is not None), default=0)
    shown = float(last * stream.time_base)
    if not stream.frames and shown < LONG * seconds:  # Matroska and WebM promise seconds only
        raise DataFault(video, "", f"is cut off: it ends at {shown:.1f} of {seconds:.1f} seconds", _AGAIN)
    return total


def _decoded(container: Any) -> Iterator[Any]:
    stream = container.streams.video[0]
    stream.thread_type = "NONE"  # the same frames everywhere, and videos are decoded side by side
    yield from container.decode(stream)
