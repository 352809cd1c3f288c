"""Pictures by reference: a path below the data root that may lead through a zip archive."""

from __future__ import annotations

import hashlib
import io
import os
import struct
import zipfile
import zlib
from functools import lru_cache
from pathlib import Path, PurePosixPath

from PIL import Image

_OPEN_ARCHIVES = 16
_REMEDY = "restore the file or rerun the stage prepare"
# what PIL's decoders are known to raise over damaged bytes
_DAMAGED = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, OverflowError, struct.error, zlib.error,
    Image.DecompressionBombError,
)  # fmt: skip


class ImageError(ValueError):
    """A picture is missing, damaged, or its reference leaves the data root."""


def read_bytes(root: Path, ref: str) -> bytes:
    """The encoded picture as it lies on disk or in its archive.

    Args:
        ref: POSIX path relative to root; what follows a part that ends in ``.zip`` is a member of it.

    Raises:
        ImageError: naming the file and the remedy.
    """
    parts = PurePosixPath(ref).parts
    if not parts or ref.startswith("/") or "\\" in ref or "\0" in ref or ".." in parts:
        raise ImageError(
            f"image reference {ref!r} leaves the data root {root}; write it relative to it, without '..'"
        )
    depth = next((i for i, part in enumerate(parts[:-1], 1) if part.endswith(".zip")), len(parts))
    path = _inside(root, "/".join(parts[:depth]))
    member = "/".join(parts[depth:])
    try:
        return _read_member(path, member) if member else path.read_bytes()
    except KeyError as error:
        raise ImageError(f"{path} has no member {member!r}; {_REMEDY}") from error
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ImageError(f"image {ref!r} below {root} cannot be read ({error}); {_REMEDY}") from error


def open_image(root: Path, ref: str) -> Image.Image:
    """The picture, decoded in full, as RGB (transparency is dropped, as LAVIS and transformers do).

    Raises:
        ImageError: naming the file and the remedy; also for a truncated picture.
    """
    return decode(read_bytes(root, ref), f"{root}/{ref}")


def decode(data: bytes, name: str) -> Image.Image:
    """An RGB picture from its encoded bytes; `name` is for the error.

    Raises:
        ImageError: when the bytes are not one whole picture.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.verify()  # checksums and structure; leaves the image unusable
        with Image.open(io.BytesIO(data)) as image:
            return image.convert("RGB")
    except _DAMAGED as error:
        raise ImageError(f"image {name} is truncated or not a picture ({error}); {_REMEDY}") from error


def content_key(root: Path, ref: str) -> str:
    """SHA-256 of the encoded bytes, in hexadecimal: the same picture has the same key under any name.

    Raises:
        ImageError: as read_bytes.
    """
    return hashlib.sha256(read_bytes(root, ref)).hexdigest()


def close_archives() -> None:
    """Closes every archive that read_bytes keeps open."""
    _archive.cache_clear()


def _inside(root: Path, relative: str) -> Path:
    """The real path of an existing file below root; a symbolic link must not lead out of it."""
    real_root = root.resolve()
    try:
        path = (real_root / relative).resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise ImageError(f"image file {root / relative} does not exist; {_REMEDY}") from error
    if not path.is_relative_to(real_root):
        raise ImageError(
            f"image file {root / relative} is a link to {path}, outside the data root; copy it below the root"
        )
    return path


def _read_member(path: Path, member: str) -> bytes:
    stat = path.stat()
    return _archive(path, stat.st_mtime_ns, stat.st_size, os.getpid()).read(member)


@lru_cache(maxsize=_OPEN_ARCHIVES)
def _archive(path: Path, mtime_ns: int, size: int, process: int) -> zipfile.ZipFile:
    """An open archive.

    ZipFile locks its reads, so threads share one; forked processes would share a file position, hence
    the process in the key. An evicted archive is closed by its last user's reference, never under it.
    """
    return zipfile.ZipFile(path)
