"""easy-VQA: 5,000 pictures of one shape each and 48,248 questions, from the PyPI package of that name.

Real data nobody here wrote (Victor Zhou, MIT licence), with its own split: 38,575 questions to 4,000
pictures for training, 9,673 to 1,000 for testing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import easy_vqa

from workbench.data.micro.sampling import stream
from workbench.records import Example, Split

DATA = Path(easy_vqa.__file__).parent / "data"


def micro(split: Split, count: int, seed: int) -> Iterator[tuple[Example, tuple[Path, ...]]]:
    """`count` questions drawn without replacement (all of them when there are fewer), with the 64 x 64 PNG.

    The package has no validation set: ``val`` draws from the training pictures whose number ends in 9,
    ``train`` from the others.

    Raises:
        FileNotFoundError: when the installed package lacks its data.
    """
    folder = DATA / ("test" if split == "test" else "train")
    rows = json.loads((folder / "questions.json").read_text(encoding="utf-8"))
    if split != "test":
        rows = [row for row in rows if (row[2] % 10 == 9) == (split == "val")]
    chosen = stream(seed, "easy_vqa", split).permutation(len(rows))[:count]
    for row in sorted(int(i) for i in chosen):
        question, answer, picture = rows[row]
        example = Example(
            dataset="easy_vqa",
            example_id=f"easy_vqa_{split}_{row:06d}",
            image_id=f"easy_vqa_{split}/{picture:06d}",
            images=(f"scenes/easy_vqa_{split}.zip/{picture:06d}.png",),
            references=(answer,),
            fields={"question": question},
        )
        yield example, (folder / "images" / f"{picture}.png",)
