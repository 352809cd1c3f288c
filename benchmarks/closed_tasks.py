"""How often a micro language model answers the closed tasks right from text alone, by the length of the text.

    python benchmarks/closed_tasks.py t5 --texts 9000 --seed 127      # two minutes on one core
    python benchmarks/closed_tasks.py llama --texts 9000 --seed 127

A description of a clip counts as many things as its fullest frame; layouts of IconQA have up to nine.
"""

from __future__ import annotations

import argparse
from itertools import islice
from pathlib import Path

import pandas as pd
import torch
from transformers import AutoTokenizer, InstructBlipForConditionalGeneration

from workbench.data.catalog import BY_NAME
from workbench.data.micro.corpus import CLOSED, Text, texts
from workbench.progress import shown
from workbench.train.language import answers_right

BACKBONES = Path(__file__).parents[1] / "backbones/micro"
FEW = 5
TOGETHER = 64


def things(description: str) -> int:
    """How many things are described; of a clip, those of its fullest frame."""
    return max(frame.count(" , ") + 1 for frame in description.split("frame")[-4:])


def asked(number: int, seed: int) -> list[Text]:
    """Texts of closed tasks, as often as language models meet them."""
    stream = (text for text in texts(seed, 0.0) if BY_NAME[text.task].metric in CLOSED)
    return list(islice(stream, number))


def main(family: str, number: int, seed: int) -> None:
    """Prints exact match by task, for all texts, and those of up to five and of exactly five things."""
    folder = BACKBONES / f"blip2-{family}"
    model = InstructBlipForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(folder, subfolder="tokenizer")
    drawn = asked(number, seed)
    parts = [drawn[first : first + TOGETHER] for first in range(0, number, TOGETHER)]
    right = [
        ok
        for part in shown(parts, f"closed tasks, {family}", len(parts))
        for ok in answers_right(model.language_model, tokenizer, part)
    ]
    found = pd.DataFrame(
        {
            "task": [text.task for text in drawn],
            "things": [things(text.description) for text in drawn],
            "right": right,
        }
    )
    kinds = {
        "all": found,
        f"up to {FEW} things": found[found["things"] <= FEW],
        f"{FEW} things": found[found["things"] == FEW],
    }
    table = pd.DataFrame({kind: part.groupby("task")["right"].mean() for kind, part in kinds.items()})
    print(table.round(3).to_string(na_rep="-"))
    for kind, part in kinds.items():
        print(
            f"{family}, {kind}: {table[kind].mean():.4f} over {table[kind].count()} tasks, {len(part)} texts"
        )


if __name__ == "__main__":
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=plain)
    parser.add_argument("family", choices=("t5", "llama"))
    parser.add_argument("--texts", type=int, default=9000)
    parser.add_argument("--seed", type=int, default=127)
    given = parser.parse_args()
    main(given.family, given.texts, given.seed)
