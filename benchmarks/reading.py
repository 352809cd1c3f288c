"""Memory of preparing a COCO-format annotation set: it has to stay flat when the records grow tenfold.

Each size is written and prepared by a process of its own, through the reader, the checks and the writer that
every official dataset goes through. Ends with 1 when the larger one takes more than 1.3 times the memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from PIL import Image

from workbench.data.official.part import Part, write_part
from workbench.data.official.releases import RELEASES

MOST = 1.3
PER_IMAGE = 10  # captions, as NoCaps has


def write_annotations(root: Path, records: int) -> None:
    """`records` captions to a tenth as many images, all of which show the same file."""
    folder = root / "nocaps"
    (folder / "images").mkdir(parents=True)
    Image.new("RGB", (32, 32)).save(folder / "images/one.jpg")
    with (folder / "nocaps_val_4500_captions.json").open("w", encoding="utf-8") as file:
        file.write('{"info": {}, "licenses": [], "images": [')
        for number in range(records // PER_IMAGE):
            image = {
                "id": number,
                "file_name": "one.jpg",
                "open_images_id": f"{number:016x}",
                "domain": "in-domain",
            }
            file.write(", " * bool(number) + json.dumps(image))
        file.write('], "annotations": [')
        for number in range(records):
            text = f"a picture of thing {number} beside another thing, in the style of {number % 97}"
            caption = {"id": number, "image_id": number * 7919 % (records // PER_IMAGE), "caption": text}
            file.write(", " * bool(number) + json.dumps(caption))
        file.write("]}")


def prepare(records: int) -> None:
    """Prepares one set in this process and prints bytes at the peak and seconds."""
    release = RELEASES["nocaps"]
    part = replace(release.parts["test"], examples=records // PER_IMAGE)
    RELEASES["nocaps"] = replace(release, parts={"test": part})  # type: ignore[index]
    with tempfile.TemporaryDirectory() as folder:
        root, out = Path(folder, "root"), Path(folder, "out")
        write_annotations(root, records)
        begun = time.perf_counter()
        state = write_part(Part("nocaps", "test", root, out, out, seed=0))
        assert state["examples"] == records // PER_IMAGE
        unit = 1 if sys.platform == "darwin" else 1024
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
        print(json.dumps({"bytes": peak, "seconds": time.perf_counter() - begun}))


def main() -> None:
    """A line for each size, and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, nargs=2, default=(100_000, 1_000_000))
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        prepare(given.one)
        return
    peaks = []
    for records in given.records:
        command = [sys.executable, __file__, "--one", str(records)]
        took = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        peaks.append(took["bytes"])
        rate = records / took["seconds"]
        print(f"{records:9,} records: {took['bytes'] / 1e6:6.1f} MB at the peak, {rate:9,.0f} records/s")
    ratio = peaks[1] / peaks[0]
    print(f"{given.records[1] / given.records[0]:.0f} times the records take {ratio:.2f} times the memory")
    sys.exit(ratio > MOST)


if __name__ == "__main__":
    main()
