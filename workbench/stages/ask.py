"""`workbench ask`: a question about any picture, to the start or to what the stage tune left."""

from __future__ import annotations

import argparse
from pathlib import Path

from workbench.config import Config
from workbench.records import RECIPES, ROWS, Row
from workbench.stages.evaluate import tuned
from workbench.stages.guard import stage


def work(
    config: Config, root: Path, image: Path, question: str, row: Row, candidates: tuple[str, ...], out: Path
) -> None:
    """Prints the answer and what else might be said, and draws the attention."""
    from workbench.experiment.asking import ask

    said = ask(config, root, image, question, row, candidates, out, tuned(config, root, ROWS[row]))
    print(said.answer)
    for text, score in said.alternatives:
        print(f"  {score:8.2f}  {text}")
    print(f"attention over the picture: {out}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--image", type=Path, required=True)
    parser.add_argument("--question", required=True)
    parser.add_argument("--recipe", choices=("blip2", *RECIPES), default="instruct")
    parser.add_argument("--options", default="", help="candidates, separated by commas")
    parser.add_argument("--out", type=Path, default=Path("attention.png"))
    given = parser.parse_args()
    listed = tuple(text.strip() for text in given.options.split(",") if text.strip())
    asked = (given.image, given.question, given.recipe, listed, given.out)
    stage(lambda config, root: work(config, root, *asked))
