"""Where a dataset's pictures lie: below folders of the data root, or in zip archives of those names.

``coco/train2014/COCO_train2014_000000000009.jpg`` may be the file of that name, or a member of
``coco/train2014.zip``, as COCO distributes it, or of ``coco.zip``; with or without the name of that folder
inside.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from workbench.data import images
from workbench.data.official.rows import Row

VIDEO = (".avi", ".mp4", ".mkv", ".webm")
FRAMES = 4
# what zipfile raises over a damaged archive, a member of another version, a name that is no text
UNREADABLE = (OSError, zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError)


def found(root: Path, row: Row, *refs: str) -> str:
    """The first reference of which there is a file or archive member; the first of all if there is none.

    Raises:
        DataFault: when one is a link out of the data root, or lies in a damaged archive.
    """
    try:
        for ref in refs:
            for place in (ref, *_archived(root, ref)):
                if images.holds(root, place, own=True):
                    return place
    except (images.ImageError, *UNREADABLE) as error:
        raise row.fault(str(error), "correct the record or the folder") from error
    return refs[0]


def _archived(root: Path, ref: str) -> Iterator[str]:
    """Where a picture may lie in the archives of its folders, the innermost first."""
    parts = PurePosixPath(ref).parts
    for depth in range(len(parts) - 1, 0, -1):
        archive, name = "/".join(parts[:depth]) + ".zip", "/".join(parts[depth:])
        if os.path.isfile(root / archive):
            yield f"{archive}/{parts[depth - 1]}/{name}"
            yield f"{archive}/{name}"


def below(root: Path, folder: str, name: str, row: Row) -> str:
    """The reference of a picture that an annotation file names.

    Raises:
        DataFault: when the name leads out of the folder.
    """
    return found(root, row, f"{folder}/{_inner(folder, name, row)}")


def _inner(folder: str, name: str, row: Row) -> str:
    parts = PurePosixPath(name).parts
    if not parts or name.startswith(("/", "~")) or ".." in parts or set(name) & set("\\\0:"):
        raise row.fault(
            f"the image name {name!r} leads out of {folder}", "correct the record; names are relative to it"
        )
    return "/".join(parts)


def coco(root: Path, number: int, row: Row) -> tuple[str, str]:
    """image_id and reference of a COCO picture; the releases of 2014 and 2017 hold the same ones."""
    refs = [f"coco/{year}/COCO_{year}_{number:012d}.jpg" for year in ("train2014", "val2014")]
    refs += [f"coco/{year}/{number:012d}.jpg" for year in ("train2017", "val2017")]
    return f"coco/{number:012d}", found(root, row, *refs)


def textvqa(root: Path, image: str, row: Row) -> str:
    """The reference of a training or validation picture of TextVQA, which are published in one archive."""
    inner = _inner("textvqa/train_images", f"{image}.jpg", row)
    return found(root, row, f"textvqa/train_images/{inner}", f"textvqa/train_val_images/train_images/{inner}")


def clip(root: Path, folder: str, name: str, row: Row) -> tuple[str, ...]:
    """References of the frames of a video that an annotation file names, its ending apart.

    The frames are members of ``<video>.zip``, which preparation makes; the videos lie in the folder itself.
    """
    inner = _inner(folder, name, row)
    endings = ("",) if PurePosixPath(name).suffix in VIDEO else VIDEO
    refs = [f"{folder}/{inner}{ending}" for ending in endings]
    video = next((ref for ref in refs if os.path.isfile(root / ref)), refs[0])
    return tuple(f"{video}.zip/{number}.png" for number in range(FRAMES))


def video_of(ref: str) -> str | None:
    """The video whose frame a reference means, or None if it means a picture."""
    archive = ref.rpartition("/")[0]
    video = archive.removesuffix(".zip")
    return video if video != archive and PurePosixPath(video).suffix in VIDEO else None


def source_of(ref: str) -> str:
    """The file of the data root that a reference needs: the picture, or the frame's video."""
    return video_of(ref) or ref
