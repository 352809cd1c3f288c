"""A model that looks at pictures which are in no feature store, as an examination looks at those in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from workbench.config import Config
from workbench.data.collate import Collator
from workbench.data.encoder import GREY, Encoder, encode
from workbench.data.images import open_image
from workbench.data.tokens import Tokenizers
from workbench.experiment.answers import WEIGHTS, load_weights
from workbench.experiment.record import RunError, encoder_folder, start_folder
from workbench.model.instructblip import InstructBlip


class Pictures:
    """Features of pictures below a folder, encoded when they are asked for, in the store's place."""

    def __init__(self, root: Path, encoder: Path, device: torch.device) -> None:
        """
        Raises:
            ValueError: naming the encoder's folder, when weights or configuration are missing or damaged.
        """
        source = Encoder.open(encoder)
        self._root, self._preprocessing, self._model = root, source.preprocessing, source.load(device)
        self._last: tuple[tuple[str, ...], Tensor] = ((), torch.empty(0))  # some are asked about twice

    @property
    def blank(self) -> Tensor:
        """(N, V) features of an empty grey canvas."""
        size = (self._preprocessing.width, self._preprocessing.height)
        return self._encoded([Image.new("RGB", size, GREY)], "the grey canvas")[0]

    def take(self, refs: Sequence[str]) -> Tensor:
        """(len(refs), N, V) features, rounded to half precision as a stored one is.

        Raises:
            ImageError: naming the picture that is damaged.
        """
        if self._last[0] != tuple(refs):
            pictures = [open_image(self._root, ref, own=True) for ref in refs]
            self._last = (tuple(refs), self._encoded(pictures, ", ".join(refs)))
        return self._last[1]

    def _encoded(self, pictures: Sequence[Image.Image], names: str) -> Tensor:
        halves = encode(self._model, self._preprocessing.pixels(pictures)).half()
        if not halves.isfinite().all():
            raise RunError(f"the encoder's output for {names} is not finite in half precision")
        return halves.float()


def materials(
    config: Config, root: Path, tuned: Path | None, pictures: Path
) -> tuple[InstructBlip, Collator]:
    """The model in eval mode, on a GPU if there is one, and what feeds it pictures of a folder.

    Args:
        tuned: the folder of its weights; None for the start's own.
    """
    start, device = start_folder(config, root), torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = InstructBlip.load(start, config.model).to(device).eval()
    if tuned is not None:
        load_weights(tuned / WEIGHTS, model.trainable())
    store = Pictures(pictures, encoder_folder(config, root), device)
    constant = not config.model.instruction_aware and config.model.unaware_form == "constant"
    return model, Collator(Tokenizers.load(start), store, "empty" if constant else "text")
