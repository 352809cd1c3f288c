"""The frozen encoder's output for every picture and frame, once, in one memory-mapped half-precision file.

    features.f16  (n, N, V) float16, row-major; row 0 belongs to an empty grey canvas
    index.json    what identifies the encoder and the prepared data, the shape, the content key of each
                  row, the row of each image reference, and the SHA-256 of features.f16

Both are replaced whole, the index last. Features are those before the post layer norm, which is trained.
A checksum that was right is not computed again while the file stays as it is: <folder>.verified.json
beside the folder keeps its inode, size and times, as a store of millions of pictures takes hours to read.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet
import torch
from PIL import Image
from torch import Tensor

from workbench.data.encoder import GREY, Encoder, encode
from workbench.data.images import content_key, open_image
from workbench.data.unfinished import Rows, Unfinished
from workbench.files import canonical, digest, file_sha256, read_json, write_json, write_text

FEATURES, INDEX = "features.f16", "index.json"
BLOCK = 65_536  # pictures
BLANK = "blank"  # the content key of the empty grey canvas
_REMEDY = "rerun the stage features"


class FeatureStoreError(ValueError):
    """The feature store is missing, damaged, or belongs to other pictures or another encoder."""


class FeatureStore:
    """Read access to a built store.

    Attributes:
        blank: (N, V) float32 features of the empty grey canvas, the blind input.
    """

    def __init__(self, rows: Rows, refs: dict[str, int], keys: Sequence[str]) -> None:
        self._rows, self._refs, self._keys = rows, refs, keys
        self.blank = torch.from_numpy(np.float32(rows[0]))

    @classmethod
    def open(cls, out: Path, *, prepared: Path, encoder: Path, thorough: bool = False) -> FeatureStore:
        """Verifies the store against its checksum, the prepared data and the encoder, then maps it.

        Args:
            thorough: compare the checksum even if it was compared since the file was last written.

        Raises:
            FeatureStoreError: naming the file and the remedy.
        """
        index = _read_index(out)
        if index["encoder"] != Encoder.open(encoder).identity:
            raise FeatureStoreError(
                f"{out / INDEX} was built with another encoder, preprocessing or code than "
                f"{encoder}'s; {_REMEDY}"
            )
        if index["prepared"] != _prepared_identity(prepared):
            raise FeatureStoreError(f"{out / INDEX} was built before {prepared} changed; {_REMEDY}")
        return cls(_map(out, index, thorough), index["refs"], index["keys"])

    def take(self, refs: Sequence[str]) -> Tensor:
        """(len(refs), N, V) float32 features of the pictures, in order.

        Raises:
            FeatureStoreError: naming a reference that is not in the store.
        """
        return torch.from_numpy(np.float32(self._rows[list(map(self._row, refs))]))

    def key(self, ref: str) -> str:
        """The content key of the picture that was encoded.

        Raises:
            FeatureStoreError: as `take`.
        """
        return self._keys[self._row(ref)]

    def _row(self, ref: str) -> int:
        try:
            return self._refs[ref]
        except KeyError as error:
            raise FeatureStoreError(f"the feature store has no picture {error}; {_REMEDY}") from error


def build(
    prepared: Path,
    encoder: Path,
    out: Path,
    *,
    batch_size: int | None = None,
    device: torch.device | str = "cpu",
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> None:
    """Brings the store up to date: rows of pictures it already holds are copied, the others encoded.

    Rows are keyed by the picture's content, the encoder's weights, the preprocessing and its code; pictures
    that no example shows any more are dropped. A damaged store is rebuilt. A build that was ended goes on
    where it was (unfinished.py).

    Args:
        prepared: folder of the stage prepare: <dataset>/<split>.parquet, pictures, manifest.json.
        encoder: InstructBLIP, BLIP-2 or vision model folder.
        batch_size: pictures at once; without, 64 on a GPU and 16 on a CPU, whose caches hold no more of
            micro's activations (a seventh faster, the same bits).
        progress: called with the numbers of rows done and in all.

    Raises:
        FeatureStoreError: when a feature exceeds half precision, naming the picture.
        ImageError: for a missing or truncated picture.
    """
    batch_size = batch_size or (16 if torch.device(device).type == "cpu" else 64)
    source = Encoder.open(encoder)
    body: dict[str, Any] = {"encoder": source.identity, "prepared": _prepared_identity(prepared)}
    refs, keys = image_refs(prepared), list[str]()
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(refs), BLOCK):  # what waits in the pool takes two kilobytes each
            keys += pool.map(lambda ref: content_key(prepared, ref), refs[start : start + BLOCK])
    first = {BLANK: ""} | dict(reversed([*zip(keys, refs, strict=True)]))
    wanted = sorted(first, key=lambda key: first[key])
    old_keys, old = _reusable(out, source.identity)
    if old_keys == wanted:
        body |= {name: _read_index(out)[name] for name in ("shape", "sha256")}
        progress(len(wanted), len(wanted))
    else:
        with Unfinished(out, source.identity, wanted, batch_size) as unfinished:
            known = {key: row for row, key in enumerate(old_keys)}
            made = _rows(prepared, source, first, wanted, known, old, batch_size, device, unfinished.done)
            for rows in made:
                unfinished.append(rows)
                progress(unfinished.done, len(wanted))
        body |= unfinished.finish(FEATURES)
    for left_by_a_kill in out.glob(f".{FEATURES}.*"):
        left_by_a_kill.unlink()
    place = {key: row for row, key in enumerate(wanted)}
    body |= {"keys": wanted, "refs": {ref: place[key] for ref, key in zip(refs, keys, strict=True)}}
    write_json(out / INDEX, body | {"digest": digest(body)})


def image_refs(prepared: Path) -> list[str]:
    """Every image reference of every prepared example, sorted.

    Raises:
        FeatureStoreError: when nothing is prepared.
    """
    refs: set[str] = set()
    for path in sorted(prepared.glob("*/*.parquet")):
        column = pyarrow.parquet.read_table(path, columns=["images"]).column("images")
        refs.update(column.combine_chunks().flatten().to_pylist())
    if not refs:
        raise FeatureStoreError(f"{prepared} holds no examples with pictures; rerun the stage prepare")
    return sorted(refs)


def _rows(
    prepared: Path,
    source: Encoder,
    first: dict[str, str],
    wanted: list[str],
    known: dict[str, int],
    old: Rows | None,
    batch_size: int,
    device: torch.device | str,
    begin: int,
) -> Iterator[Rows]:
    """(at most batch_size, N, V) rows of the wanted keys from `begin` on, copied from `old` or encoded.

    Chunks are read and encoded side by side, one thread a core: numpy, Pillow and torch let go of
    the interpreter, and a small encoder leaves little to do for threads of their own. A GPU encodes one
    chunk at a time: it is filled by that, and its memory holds the activations of no more.
    """
    model = source.load(device)
    on_cpu = torch.device(device).type == "cpu"
    turn: AbstractContextManager[object] = nullcontext() if on_cpu else threading.Lock()

    def picture(key: str) -> Image.Image:
        size = (source.preprocessing.width, source.preprocessing.height)
        return Image.new("RGB", size, GREY) if key == BLANK else open_image(prepared, first[key])

    def made(start: int) -> Rows:
        chunk = wanted[start : start + batch_size]
        missing = [key for key in chunk if key not in known]
        fresh: dict[str, Rows] = {}
        if missing:
            pixels = source.preprocessing.pixels([picture(key) for key in missing])
            with turn:
                features = encode(model, pixels)
            halves = _half(features, [first[key] for key in missing])
            fresh = dict(zip(missing, halves, strict=True))
        return np.stack([fresh[key] if old is None or key in fresh else old[known[key]] for key in chunk])

    workers = os.cpu_count() or 1
    under_way: deque[Future[Rows]] = deque()  # short, so that memory stays small
    with ThreadPoolExecutor(workers) as pool:
        for start in range(begin, len(wanted), batch_size):
            under_way.append(pool.submit(made, start))
            if len(under_way) > 2 * workers:
                yield under_way.popleft().result()
        while under_way:
            yield under_way.popleft().result()


def _half(features: Tensor, refs: list[str]) -> Rows:
    halves = features.half()
    for row, ref in zip(halves, refs, strict=True):
        if not row.isfinite().all():
            raise FeatureStoreError(
                f"the encoder's output for {ref or 'the grey canvas'} is not finite in half precision; "
                "its weights may be damaged, or its activations exceed 65504: choose another encoder"
            )
    return halves.numpy()


def _reusable(out: Path, identity: dict[str, str]) -> tuple[list[str], Rows | None]:
    """Keys and rows of an intact store of the same encoder; none of a missing, damaged or other one."""
    try:
        index = _read_index(out)
        if index["encoder"] == identity:
            return index["keys"], _map(out, index, thorough=True)
    except FeatureStoreError:
        pass  # build is the remedy of every such error
    return [], None


def _read_index(out: Path) -> dict[str, Any]:
    path = out / INDEX
    try:
        index: dict[str, Any] = read_json(path)
        body = {name: value for name, value in index.items() if name != "digest"}
        if index["digest"] == digest(body):
            return index
    except FileNotFoundError as error:
        raise FeatureStoreError(f"{path} does not exist; {_REMEDY}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise FeatureStoreError(f"{path} is damaged ({error}); {_REMEDY}") from error
    raise FeatureStoreError(f"{path} does not match its own digest; {_REMEDY}")


def _map(out: Path, index: dict[str, Any], thorough: bool = False) -> Rows:
    path = out / FEATURES
    if not path.is_file() or not _intact(path, index["sha256"], thorough):
        raise FeatureStoreError(f"{path} is missing or does not match its checksum in {INDEX}; {_REMEDY}")
    return np.memmap(path, dtype=np.float16, mode="r", shape=tuple(index["shape"]))


def _prepared_identity(prepared: Path) -> str:
    path = prepared / "manifest.json"
    if not path.is_file():
        raise FeatureStoreError(f"{path} does not exist; rerun the stage prepare")
    return file_sha256(path)


def _intact(path: Path, sha256: str, thorough: bool) -> bool:
    """Whether the file has this checksum; not read again as long as nothing has been written to it.

    The change time is among what is compared: unlike the modification time nobody can set it back.
    """
    state = path.stat()
    seen = {"sha256": sha256, "inode": state.st_ino, "size": state.st_size}
    seen |= {"changed_ns": state.st_ctime_ns, "modified_ns": state.st_mtime_ns}
    now = canonical(seen)
    note = path.parent.with_name(f"{path.parent.name}.verified.json")  # the folder itself is what DVC hashes
    if not thorough and note.is_file() and note.read_bytes() == now:
        return True
    whole = file_sha256(path) == sha256
    with suppress(OSError):  # where nothing can be written, it is read again next time
        write_text(note, now.decode()) if whole else note.unlink(missing_ok=True)
    return whole
