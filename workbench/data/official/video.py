"""Frames of a video through PyAV (the extra `official`): four, evenly spaced."""

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
# a playlist of other files, in the root or out of it, is no video
_READ = {
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,avi,matroska,webm,mpeg,mpegts,flv,asf",
    "protocol_whitelist": "file",
}


def frames(root: Path, video: str, count: int = FRAMES) -> list[Image.Image]:
    """RGB frames number floor(k * n / count) of the n there are, for k = 0 ... count - 1.

    LAVIS's `uniform` sampling, the default of `load_video` (datasets/data_utils.py); its ALPRO processors ask
    for head and tail instead, frames 0, n / 3, 2n / 3 and the last. A video with fewer frames than `count`
    repeats some.

    Raises:
        DataFault: for a file that is not a video, is cut off, or is too large a picture.
    """
    av = extra("av")
    path = inside(root, video)
    try:
        with av.open(str(path), options=_READ) as container:
            total = _length(container, video)
        with av.open(str(path), options=_READ) as container:
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
    """The number of frames that are shown, counted without decoding.

    An AVI may leave out frames, and an MP4 hold some that its edit list cuts off: both are whole.
    """
    if not container.streams.video:
        raise DataFault(video, "", "holds no video stream", _AGAIN)
    stream = container.streams.video[0]
    if stream.codec_context is None:
        raise DataFault(video, "", "holds a video stream that nothing here decodes", _AGAIN)
    if stream.width * stream.height > LARGEST_PICTURE:
        size = f"{stream.width} x {stream.height}"
        raise DataFault(video, "", f"has frames of {size} pixels", f"scale it below {LARGEST_PICTURE}")
    packets = [
        (packet.pts, packet.duration or 0, packet.is_discard)
        for packet in container.demux(stream)
        if packet.size > 0
    ]
    ends = [pts + length for pts, length, _ in packets if pts is not None]
    shown = float(max(ends, default=0) * stream.time_base)
    seconds = container.duration / MICROSECONDS if container.duration else 0
    # Matroska and WebM promise seconds only
    lasts = shown >= (WHOLE if stream.frames else LONG) * seconds if seconds else not stream.frames
    if not packets or not (lasts or 0 < WHOLE * stream.frames <= len(packets)):
        number = f"{len(packets)}{f' of {stream.frames}' if stream.frames else ''} frames"
        until = f", until {shown:.1f} of {seconds:.1f} seconds" if seconds else ""
        raise DataFault(video, "", f"is cut off: it holds {number}{until}", _AGAIN)
    return sum(not cut for _, _, cut in packets)


def _decoded(container: Any) -> Iterator[Any]:
    stream = container.streams.video[0]
    stream.thread_type = "NONE"  # the same frames everywhere, and videos are decoded side by side
    yield from container.decode(stream)
