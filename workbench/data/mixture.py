"""Which datasets and which of their examples a training step sees: a pure function of seed and step."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

import numpy as np

_EXPONENTS = {"sqrt": 0.5, "uniform": 0.0, "proportional": 1.0}
_STREAM = 0x4D495854  # keeps these Philox streams apart from other uses of the same seed
_WORD = 1 << 64


@dataclass(frozen=True, slots=True)
class Draw:
    """One drawn item: the index into its dataset's training examples, and 64 random bits of its own
    for the choice of template and reference."""

    dataset: str
    index: int
    entropy: int


class Mixture:
    """The balanced mixture of the held-in datasets (paper section 2.4, equation 1).

    Attributes:
        probabilities: dataset -> p_d, proportional to factor_d * S_d ** e, where S_d counts examples
            and e is 1/2 (sqrt, the paper's), 0 (uniform), 1 (proportional) or any number (power).
    """

    def __init__(
        self,
        sizes: Mapping[str, int],
        sampling: Literal["sqrt", "uniform", "proportional", "power"] = "sqrt",
        factors: Mapping[str, float] | None = None,
        mixing: Literal["batch", "example"] = "batch",
        exponent: float = 0.5,
    ) -> None:
        """
        Args:
            sizes: dataset -> number of training examples; the order does not matter.
            factors: manual weights on top of the sampling, 1 where a dataset is not named.
            mixing: "batch" draws one dataset for the whole global batch (LAVIS), "example" one per item.
            exponent: e, for sampling "power" alone.

        Raises:
            ValueError: for an empty dataset, a factor of an unknown dataset, or no weight at all.
        """
        factors = factors or {}
        if not sizes:
            raise ValueError("the mixture has no dataset; name at least one in data.held_in")
        if unknown := sorted(set(factors) - set(sizes)):
            raise ValueError(
                f"data.factors names {', '.join(unknown)}, not in the mixture of {', '.join(sorted(sizes))}; "
                "remove the factor or add the dataset to data.held_in"
            )
        if empty := sorted(name for name, size in sizes.items() if size < 1):
            raise ValueError(
                f"dataset {', '.join(empty)} has no training examples; "
                "raise data.size_scale, rerun prepare, or leave it out of data.held_in"
            )
        self.sizes = dict(sorted(sizes.items()))
        self.mixing = mixing
        power = _EXPONENTS.get(sampling, exponent)
        weights = {name: factors.get(name, 1.0) * size**power for name, size in self.sizes.items()}
        total = math.fsum(weights.values())
        if not 0 < total < math.inf or min(weights.values()) < 0:
            raise ValueError(
                "the mixture's weights have to be finite, none negative and not all zero: "
                f"{weights}; change data.factors"
            )
        self.probabilities = {name: weight / total for name, weight in weights.items()}
        # datasets of weight zero are left out here, so that rounding can never draw one
        self._names = [name for name, weight in weights.items() if weight > 0]
        self._cumulative = list(accumulate(self.probabilities[name] for name in self._names))

    def draw(self, seed: int, step: int, count: int, rank: int = 0, world: int = 1) -> list[Draw]:
        """Process `rank`'s share of the global batch of `count` items at `step`.

        The global batch depends on seed and step alone, not on world: items rank, rank + world, ...
        of it are returned, so the processes' shares are disjoint and complete. Within a dataset every
        item is equally likely, with replacement (to within size / 2**64).

        Raises:
            ValueError: when count does not divide into world equal shares.
        """
        if count % world:
            raise ValueError(
                f"a batch of {count} does not divide among {world} processes; "
                "make train.batch_size a multiple of their number"
            )
        key = np.array([seed % _WORD, _STREAM], np.uint64)  # a plain list would pass through float64
        philox = np.random.Philox(key=key, counter=np.array([0, step, 0, 0], np.uint64))
        words: list[list[int]] = philox.random_raw(3 * count).reshape(count, 3).tolist()
        draws = []
        for which, item, entropy in words[rank::world]:
            name = self._dataset(words[0][0] if self.mixing == "batch" else which)
            draws.append(Draw(name, item * self.sizes[name] >> 64, entropy))
        return draws

    def _dataset(self, word: int) -> str:
        place = bisect_right(self._cumulative, word / _WORD)
        return self._names[min(place, len(self._names) - 1)]
