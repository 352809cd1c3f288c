"""Where the Q-Former of an examined model looks when one picture is asked about twice.

Made when a study is collected, because a report loads no model; kept beside the examination as
`attention.json`, and made again when the code that makes it has changed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import torch

from workbench import files
from workbench.config import Config
from workbench.data.catalog import entry
from workbench.data.prepare import load_examples
from workbench.data.templates import evaluation_text
from workbench.evaluate.ask import answer
from workbench.experiment import record
from workbench.experiment.answers import load_weights, materials
from workbench.records import Example, Row

ATTENTION = "attention.json"
DATASET = "vqav2"  # held-in, and with several questions to a picture


def look(config: Config, row: Row, root: Path, weights: Path | None, folder: Path) -> Path:
    """folder/attention.json: the picture, two instructions, and what the model looks at and says to each.

    `maps` are the Q-Former's cross-attention, averaged over layers, heads and queries: two lists of N
    shares with the sum 1, the class token first, then the patches line by line.

    Args:
        weights: the tuned parameters; None for the start itself.

    Raises:
        ValueError: for missing or damaged inputs, naming file and remedy.
    """
    path, code = folder / ATTENTION, record.code_hash("workbench.experiment.looking")
    if path.is_file() and files.read_json(path)["code"] == code:
        return path
    config = record.as_asked(config, row)
    examples = twice_asked(load_examples(root / "data/prepared", DATASET, config.evaluate.split))
    model, collator = materials(config, root, torch.device("cuda" if torch.cuda.is_available() else "cpu"))
    if weights is not None:
        load_weights(weights, model.trainable())
    model.requires_grad_(False)
    texts = [evaluation_text(example, row) for example in examples]
    found = [
        answer(model, collator.infer([example], [text]), collator, entry(DATASET))
        for example, text in zip(examples, texts, strict=True)
    ]
    shown = {"dataset": DATASET, "image": examples[0].images[0], "instructions": texts, "code": code}
    shown |= {"answers": [text for text, _ in found]}
    files.write_json(path, shown | {"maps": [[round(float(x), 6) for x in seen] for _, seen in found]})
    return path


def twice_asked(examples: Sequence[Example]) -> tuple[Example, Example]:
    """Two examples with one picture and different questions, the first such picture by the hash of its id.

    Pictures whose answers are not yes or no come first: there, something is to be found in each.

    Raises:
        RunError: when no picture is asked about twice.
    """
    by_image: dict[str, list[Example]] = {}
    for example in examples:
        by_image.setdefault(example.image_id, []).append(example)
    pairs = []
    for image, asked in by_image.items():
        other = next((e for e in asked[1:] if e.fields != asked[0].fields), None)
        if other is not None:
            closed = {asked[0].references[0], other.references[0]} & {"yes", "no"}
            pairs.append((bool(closed), hashlib.sha256(image.encode()).digest(), asked[0], other))
    if not pairs:
        raise record.RunError(f"no picture of {DATASET} is asked about twice; raise data.eval_examples")
    *_, first, second = min(pairs, key=lambda pair: pair[:2])
    return first, second
