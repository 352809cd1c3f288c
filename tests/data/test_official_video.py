"""Four frames of clips that the test encodes itself, and what is no clip."""

from __future__ import annotations

import zipfile

import av
import numpy as np
import official_root
import pytest

from workbench.data.images import open_image
from workbench.data.official import video
from workbench.data.official.rows import DataFault


def brightness(pictures):
    return [float(np.asarray(picture, np.float32).mean()) for picture in pictures]


@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "a.mkv"])
@pytest.mark.parametrize("frames", [8, 11, 3])
def test_frames_are_evenly_spaced_from_the_first_on(tmp_path, name, frames):
    official_root.clip(tmp_path / name, frames)
    wanted = [20 + 20 * (k * frames // 4) for k in range(4)]
    assert brightness(video.frames(tmp_path, name)) == pytest.approx(wanted, abs=6)


def test_frames_are_written_once_and_read_as_pictures(tmp_path):
    official_root.clip(tmp_path / "v/a.mp4")
    video.write_frames(tmp_path, "v/a.mp4", tmp_path / "out/v/a.mp4.zip")
    shown = [open_image(tmp_path / "out", f"v/a.mp4.zip/{k}.png") for k in range(4)]
    assert shown[0].size == (64, 48)
    assert brightness(shown) == brightness(video.frames(tmp_path, "v/a.mp4"))
    with zipfile.ZipFile(tmp_path / "out/v/a.mp4.zip") as archive:
        assert archive.comment == video.stamp(tmp_path, "v/a.mp4")


@pytest.mark.parametrize("name", ["a.mp4", "a.avi", "a.mkv", "a.webm"])
def test_a_truncated_clip_is_refused(tmp_path, name):
    path = official_root.clip(tmp_path / name, 40, codec="libvpx" if name == "a.webm" else "mpeg4")
    data = path.read_bytes()
    assert len(video.frames(tmp_path, name)) == 4
    for share in (0.0, 0.3, 0.6, 0.8, *[0.9] * (name in ("a.mp4", "a.avi"))):  # which promise frames
        path.write_bytes(data[: int(share * len(data))])
        with pytest.raises(DataFault, match=rf"^{name}.*get the video again"):
            video.frames(tmp_path, name)


def test_what_is_no_video_is_refused(tmp_path, monkeypatch):
    (tmp_path / "b.mp4").write_text("not found")
    with pytest.raises(DataFault, match=r"b\.mp4: is damaged or not a video"):
        video.frames(tmp_path, "b.mp4")
    official_root.clip(tmp_path / "real.mp4", 40)
    monkeypatch.setattr(video, "LARGEST_PICTURE", 1000)
    with pytest.raises(DataFault, match=r"real\.mp4: has frames of 64 x 48 pixels"):
        video.frames(tmp_path, "real.mp4")


def rewritten(path, change):
    """A clip muxed once more, its time stamps changed by `change(pts, ticks of a frame)`."""
    moved = path.with_stem("moved")
    with av.open(str(path)) as source, av.open(str(moved), "w") as target:
        stream = source.streams.video[0]
        ticks = round(1 / (stream.average_rate * stream.time_base))
        copy = target.add_stream_from_template(stream)
        for packet in source.demux(stream):
            if packet.size:
                packet.pts = packet.dts = change(packet.pts, ticks)
                packet.stream = copy
                target.mux(packet)
    return moved.name


def test_an_avi_that_leaves_out_frames_is_whole(tmp_path):
    path = official_root.clip(tmp_path / "a.avi", 40)
    name = rewritten(path, lambda pts, ticks: 2 * pts)
    with av.open(str(tmp_path / name)) as container:
        assert container.streams.video[0].frames > 70, "its head counts what is left out"
    assert brightness(video.frames(tmp_path, name)) == brightness(video.frames(tmp_path, "a.avi"))
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(0.8 * len(data))])
    with pytest.raises(DataFault, match="get the video again"):
        video.frames(tmp_path, name)


def test_frames_that_an_mp4_cuts_off_are_not_counted(tmp_path):
    path = official_root.clip(tmp_path / "a.mp4", 8)
    name = rewritten(path, lambda pts, ticks: pts - 4 * ticks)
    shown = brightness(video.frames(tmp_path, name))
    assert shown == pytest.approx([20 + 20 * (4 + k) for k in range(4)], abs=6)


def test_a_playlist_of_other_files_is_no_video(tmp_path):
    official_root.clip(tmp_path / "out/real.mp4")
    root = tmp_path / "root"
    root.mkdir()
    (root / "l.mp4").symlink_to(tmp_path / "out/real.mp4")
    (root / "c.mp4").write_text("ffconcat version 1.0\nfile l.mp4\n")
    with pytest.raises(DataFault, match=r"c\.mp4: is damaged or not a video"):
        video.frames(root, "c.mp4")


def test_a_codec_that_nobody_knows_is_one_sentence(tmp_path):
    path = official_root.clip(tmp_path / "a.mp4")
    data = path.read_bytes()
    path.write_bytes(data.replace(b"minf", b"none"))  # the box that says how it is encoded
    with pytest.raises(DataFault, match=r"a\.mp4: holds a video stream that nothing here decodes; get"):
        video.frames(tmp_path, "a.mp4")
