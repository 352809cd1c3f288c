"""Pictures by reference: a path below the data root that may lead through a zip archive.

A prepared folder whose manifest names a data root (the official suite) holds only what was made for it;
its other pictures stay where they are, below that root. Readers of the data root itself say `own`: what lies
in there decides about no other place.
"""

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

from workbench.files import read_json

LARGEST_FILE = 256 * 1024 * 1024  # bytes of one encoded picture, unpacked if it lies in an archive
LARGEST_PICTURE = 100_000_000  # pixels: 300 MB decoded
# told from a picture's bytes, whatever it is called; left to itself PIL gives EPS, a program, to Ghostscript
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")  # MPO comes as JPEG
_OPEN_ARCHIVES = 16
_REMEDY = "restore the file or rerun the stage prepare"
# what PIL's decoders are known to raise over damaged bytes
_DAMAGED = (
    OSError, SyntaxError, ValueError, EOFError, IndexError, OverflowError, struct.error, zlib.error,
)  # fmt: skip


class ImageError(ValueError):
    """A picture is missing, damaged, or its reference leaves the data root."""


def read_bytes(root: Path, ref: str, own: bool = False) -> bytes:
    """The encoded picture as it lies on disk or in its archive.

    Args:
        ref: POSIX path relative to root; what follows a part that ends in ``.zip`` is a member of it.
        own: look below root only, whatever its manifest says.

    Raises:
        ImageError: naming the file and the remedy.
    """
    path, member = _located(root, ref, own)
    try:
        return _read_member(path, member) if member else _read_file(path)
    except KeyError as error:
        raise ImageError(f"{path} has no member {member!r}; {_REMEDY}") from error
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ImageError(f"image {ref!r} below {root} cannot be read ({error}); {_REMEDY}") from error


def open_image(root: Path, ref: str, own: bool = False) -> Image.Image:
    """The picture, decoded in full, as RGB (transparency is dropped, as LAVIS and transformers do).

    Raises:
        ImageError: naming the file and the remedy; also for a truncated picture.
    """
    return decode(read_bytes(root, ref, own), f"{root}/{ref}")


def decode(data: bytes, name: str) -> Image.Image:
    """An RGB picture from its encoded bytes; `name` is for the error.

    Raises:
        ImageError: when the bytes are not one whole picture.
    """
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > LARGEST_PICTURE:
                raise ImageError(
                    f"image {name} unpacks to {image.width} x {image.height} pixels; "
                    f"shrink it below {LARGEST_PICTURE} or remove it"
                )
            image.verify()  # checksums and structure; leaves the image unusable
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            return image.convert("RGB")
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(f"image {name} unpacks to too much ({error}); shrink or remove it") from error
    except _DAMAGED as error:
        known = ", ".join(FORMATS)
        raise ImageError(f"image {name} is truncated or none of {known} ({error}); {_REMEDY}") from error


def content_key(root: Path, ref: str) -> str:
    """SHA-256 of the encoded bytes, in hexadecimal: the same picture has the same key under any name.

    Raises:
        ImageError: as read_bytes.
    """
    return hashlib.sha256(read_bytes(root, ref)).hexdigest()


def close_archives() -> None:
    """Closes every archive that read_bytes keeps open."""
    _archive.cache_clear()


def _located(root: Path, ref: str, own: bool) -> tuple[Path, str]:
    """The file that holds a picture, and its name in there if that is an archive."""
    parts = _parts(root, ref)
    depth = _depth(parts)
    file = "/".join(parts[:depth])
    return inside(root if own else _base(root, file), file), "/".join(parts[depth:])


def _parts(root: Path, ref: str) -> tuple[str, ...]:
    parts = PurePosixPath(ref).parts
    if not parts or ref.startswith("/") or "\\" in ref or "\0" in ref or ".." in parts:
        raise ImageError(
            f"image reference {ref!r} leaves the data root {root}; write it relative to it, without '..'"
        )
    return parts


def _depth(parts: tuple[str, ...]) -> int:
    """How many of the parts name the file; the others are a member of it."""
    return next((i for i, part in enumerate(parts[:-1], 1) if part.endswith(".zip")), len(parts))


def inside(root: Path, relative: str) -> Path:
    """The real path of an existing file below root; a symbolic link must not lead out of it."""
    real_root = root.resolve()
    try:
        path = (real_root / relative).resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:  # ValueError: a null byte in the name
        raise ImageError(f"image file {root / relative} does not exist; {_REMEDY}") from error
    if not path.is_relative_to(real_root):
        raise ImageError(
            f"image file {root / relative} is a link to {path}, outside the data root; copy it below the root"
        )
    return path


def holds(root: Path, ref: str, own: bool = False) -> bool:
    """Whether a picture is there; its bytes are not looked at.

    Raises:
        ImageError: when the reference leaves the data root, or its archive is damaged.
    """
    parts = _parts(root, ref)
    file = "/".join(parts[: _depth(parts)])
    base = root if own else _base(root, file)
    if not os.path.exists(base / file):  # unlike Path.exists, also of a name that is too long
        return False
    path, member = _located(root, ref, own)
    return member in members(path) if member else path.is_file()


def members(path: Path) -> frozenset[str]:
    """The names in an archive.

    Raises:
        ImageError: when it is damaged.
    """
    stat = path.stat()
    try:
        return _members(path, stat.st_mtime_ns, stat.st_size)
    except (OSError, zipfile.BadZipFile) as error:
        raise ImageError(f"archive {path} cannot be read ({error}); {_REMEDY}") from error


@lru_cache(maxsize=_OPEN_ARCHIVES)
def _members(path: Path, mtime_ns: int, size: int) -> frozenset[str]:
    with zipfile.ZipFile(path) as archive:
        return frozenset(name.removeprefix("./") for name in archive.namelist())


def _base(root: Path, relative: str) -> Path:
    """The folder that holds a picture: `root`, or the data root that root's manifest names."""
    if os.path.exists(root / relative):
        return root
    manifest = root / "manifest.json"
    if not manifest.is_file():
        return root
    place = _data_root(manifest, manifest.stat().st_mtime_ns)
    return root if place is None else root / place


@lru_cache(maxsize=4)
def _data_root(manifest: Path, mtime_ns: int) -> str | None:
    found = read_json(manifest)
    place = found.get("data_root") if isinstance(found, dict) else None
    return place if isinstance(place, str) else None


def _read_file(path: Path) -> bytes:
    _sized(path, path.stat().st_size)
    return path.read_bytes()


def _read_member(path: Path, member: str) -> bytes:
    stat = path.stat()
    archive = _archive(path, stat.st_mtime_ns, stat.st_size, os.getpid())
    try:
        info = archive.getinfo(member)
    except KeyError:
        info = archive.getinfo(f"./{member}")  # as `zip -r pictures.zip .` may name them
    _sized(path / member, info.file_size)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise NotImplementedError("it is neither stored nor deflated")  # the others unpack without a limit
    with archive.open(info) as file:
        return file.read(info.file_size + 1)  # not more than it says; without a number all is unpacked


def _sized(path: Path, size: int) -> None:
    if size > LARGEST_FILE:
        raise ImageError(f"image {path} has {size} bytes, more than {LARGEST_FILE}; shrink or remove it")


@lru_cache(maxsize=_OPEN_ARCHIVES)
def _archive(path: Path, mtime_ns: int, size: int, process: int) -> zipfile.ZipFile:
    """An open archive.

    ZipFile locks its reads, so threads share one; forked processes would share a file position, hence
    the process in the key. An evicted archive is closed by its last user's reference, never under it.
    """
    return zipfile.ZipFile(path)
