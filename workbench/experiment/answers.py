"""A model's answers to a list of examples: the way from Example to Prediction, shared by fit and score."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch.nn import Parameter

from workbench.config import Config
from workbench.data.catalog import Entry
from workbench.data.collate import Collator
from workbench.data.features import FeatureStore
from workbench.data.tokens import Tokenizers
from workbench.evaluate.generate import generate
from workbench.evaluate.rank import rank
from workbench.experiment.record import RECORD, Record, RunError, encoder_folder, start_folder
from workbench.files import file_sha256, replacing
from workbench.model.instructblip import InstructBlip
from workbench.records import Example, Prediction

WEIGHTS = "best.safetensors"


def answers(
    model: InstructBlip,
    collator: Collator,
    entry: Entry,
    examples: Sequence[Example],
    instruction: Callable[[Example], str],
    *,
    batch_size: int,
    num_beams: int,
    repetition_penalty: float = 1.0,
    blind: bool = False,
) -> list[Prediction]:
    """One prediction for each example, in their order; generated or ranked as the catalogue says.

    Args:
        instruction: what Q-Former and language model read for an example.
        blind: an empty grey canvas instead of the picture.
    """
    predictions: list[Prediction] = []
    for start in range(0, len(examples), batch_size):
        part = examples[start : start + batch_size]
        batch = collator.infer(part, [instruction(example) for example in part], blind=blind)
        if entry.decoding == "rank":
            predictions += rank(model, batch)
        else:
            reader = collator.tokenizers.language
            predictions += generate(model, batch, reader, entry, num_beams, repetition_penalty)
    return predictions


def materials(config: Config, root: Path, device: torch.device) -> tuple[InstructBlip, Collator]:
    """The start with the configuration's switches, in eval mode, and what feeds it."""
    start = start_folder(config, root)
    model = InstructBlip.load(start, config.model).to(device).eval()
    store = FeatureStore.open(
        root / "data/features", prepared=root / "data/prepared", encoder=encoder_folder(config, root)
    )
    constant = not config.model.instruction_aware and config.model.unaware_form == "constant"
    return model, Collator(Tokenizers.load(start), store, "empty" if constant else "text")


def save_weights(path: Path, parameters: dict[str, Parameter]) -> None:
    """Writes the trained parameters alone, whole or not at all.

    Raises:
        RunError: when the disk is full, say.
    """
    try:
        with replacing(path) as temporary:
            save_file({name: p.detach().cpu().contiguous() for name, p in parameters.items()}, temporary)
    except (OSError, SafetensorError) as error:
        raise RunError(
            f"{path} could not be written ({error}); make room and run it again: it goes on where it was"
        ) from error


def tuned_record(folder: Path, remedy: str) -> Record:
    """The record of a tuning run, or of its copy, once it is sure that the weights are those it names.

    Raises:
        RunError: with the remedy, when they are not; and as `Record.read`.
    """
    made, weights = Record.read(folder), folder / WEIGHTS
    if not weights.is_file() or file_sha256(weights) != made.result.get("weights_sha256"):
        raise RunError(f"{weights} is not, or no longer, the file that {RECORD} names; {remedy}")
    return made


def load_weights(path: Path, parameters: dict[str, Parameter]) -> None:
    """Puts saved parameters into a model in place.

    Raises:
        RunError: when the file is missing, damaged or holds other parameters.
    """
    try:
        saved = load_file(path)
    except (OSError, SafetensorError) as error:
        raise RunError(f"{path} cannot be read ({error}); rerun the stage tune") from error
    shapes = {name: tuple(p.shape) for name, p in parameters.items()}
    if odd := sorted(shapes.items() ^ {(name, tuple(value.shape)) for name, value in saved.items()}):
        raise RunError(
            f"{path} holds other trained parameters than the model, {odd[0][0]} for one; "
            "use the model section of params.yaml that it was tuned with"
        )
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(saved[name])
