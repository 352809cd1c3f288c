"""Whether a picture that a model is examined on was among those it was trained on: by name, and by look.

The paper keeps held-out evaluation data out of the held-in training, Visual Dialog excepted. VSR's makers
took its pictures from COCO, which held-in sets train on, so it is excepted as well. Tests of held-in sets are
looked for in the training of the others too: ten of them show COCO's pictures, each split in its own way, so
that a held-in score may be of pictures that were trained on. By name: datasets made of COCO's or Open Images'
pictures share image ids. By look: a perceptual hash (pHash of the library imagehash, 64 bits) that survives
scaling and another compression.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

from workbench.data.catalog import BY_NAME
from workbench.data.official.extras import extra
from workbench.data.official.lookup import database

# held-out tests that may show pictures of held-in training, and why
EXCEPTED = {
    "visdial": "as the paper says",
    "vsr": "VSR is made of COCO's pictures; its score counts known ones",
}
NEAR = 4  # of 64 bits may differ
_BLOCK = 4096
Looked = tuple[int | None, str | None]  # the look of a picture, and why it cannot be decoded
NOTHING: Looked = (None, None)


def shared_images(prepared: Path, datasets: Mapping[str, Mapping[str, int]]) -> dict[str, dict[str, int]]:
    """Test -> held-in train -> how many images both show, by image id; only what is not nothing."""
    tests: dict[str, set[str]] = {}
    for name, splits in datasets.items():
        if "test" in splits:
            for image in _image_ids(prepared / name / "test.parquet"):
                tests.setdefault(image, set()).add(name)
    shared: dict[str, dict[str, int]] = {}
    for name, splits in datasets.items():
        if "train" in splits and BY_NAME[name].held_in:
            seen: set[str] = set()
            for image in _image_ids(prepared / name / "train.parquet"):
                if image in tests and image not in seen:
                    seen.add(image)
                    for test in filter(lambda test: differ(test, name), tests[image]):
                        counts = shared.setdefault(test, {})
                        counts[name] = counts.get(name, 0) + 1
    return shared


def differ(test: str, train: str) -> bool:
    """Whether two datasets are different ones; a question-generation set is the one that it is made of."""
    return test.removesuffix("_qg") != train.removesuffix("_qg")


def _image_ids(path: Path) -> Iterator[str]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(_BLOCK, columns=["image_id"]):
            yield from batch.column(0).to_pylist()


def look(picture: Image.Image) -> int:
    """The perceptual hash of a picture, as a signed 64-bit number, which SQLite holds."""
    bits = extra("imagehash").phash(picture).hash.flatten()
    return int(np.packbits(bits).view(">i8")[0])


class Looks:
    """What pictures look like, or why they cannot be decoded, by reference."""

    def __init__(self) -> None:
        self._rows = database()
        self._rows.execute("CREATE TABLE looks (ref TEXT PRIMARY KEY, look INT, fault TEXT) WITHOUT ROWID")

    def get(self, ref: str) -> Looked | None:
        """Look and fault of a picture, None of one that is new."""
        found: Looked | None = self._rows.execute(
            "SELECT look, fault FROM looks WHERE ref = ?", (ref,)
        ).fetchone()
        return found

    def put(self, ref: str, looks: int | None, fault: str | None) -> None:
        """Keeps what was found."""
        self._rows.execute("INSERT OR REPLACE INTO looks VALUES (?, ?, ?)", (ref, looks, fault))


class Album:
    """The pictures that held-in training and tests show: what they are called and look like."""

    def __init__(self) -> None:
        self._rows = database()
        self._rows.execute("CREATE TABLE pictures (role TEXT, dataset TEXT, image TEXT, ref TEXT, look INT)")
        self._rows.execute("CREATE INDEX by_image ON pictures (role, image)")

    def add(self, role: str, dataset: str, image: str, ref: str, looks: int | None) -> None:
        """A picture; role is train or test."""
        self._rows.execute("INSERT INTO pictures VALUES (?, ?, ?, ?, ?)", (role, dataset, image, ref, looks))

    def by_name(self) -> Iterator[tuple[str, str, str]]:
        """Test and train dataset, different ones, with an image id they share."""
        shared = self._rows.execute(
            "SELECT DISTINCT a.dataset, b.dataset, a.image FROM pictures a JOIN pictures b "
            "ON a.role = 'test' AND b.role = 'train' AND a.image = b.image ORDER BY 1, 2, 3"
        )
        yield from (row for row in shared if differ(row[0], row[1]))

    def by_look(self) -> Iterator[tuple[str, str, str, str]]:
        """Test dataset and picture, train dataset and picture that look alike but are called otherwise."""
        query = "SELECT dataset, image, ref, look FROM pictures WHERE role = ? AND look IS NOT NULL"
        tests = self._rows.execute(query, ("test",)).fetchall()
        looks = np.array([row[3] for row in tests], np.int64).view(np.uint64)
        training = self._rows.execute(query, ("train",))
        while rows := training.fetchmany(_BLOCK):
            block = np.array([row[3] for row in rows], np.int64).view(np.uint64)
            for start in range(0, len(looks), _BLOCK):
                apart = np.bitwise_count(looks[start : start + _BLOCK, None] ^ block[None, :])
                for test, train in np.argwhere(apart <= NEAR):
                    one, other = tests[start + int(test)], rows[int(train)]
                    if one[1] != other[1] and differ(one[0], other[0]):
                        yield one[0], one[2], other[0], other[2]
