"""What an exploration varies: dotted fields with Optuna's distributions, SPACE in a study's study.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.pruners import BasePruner, MedianPruner

from workbench.config import Config, ConfigError, changed
from workbench.records import RECIPES, Recipe
from workbench.search.study import FIRST_SEED, StudyError, explained, module

Dimension = FloatDistribution | IntDistribution | CategoricalDistribution
SCALARS = (bool, float, int, str)
TRAINED = ("data", "model", "train")  # sections that a tuned model follows from


def _median() -> BasePruner:
    return MedianPruner(n_startup_trials=5)


@dataclass(frozen=True, slots=True)
class Space:
    """Where an exploration looks for better settings; the objective is the held-in validation mean.

    Attributes:
        dimensions: dotted fields of params.yaml -> how they may vary.
        fixed: dotted fields -> values that all trials share.
        first: title -> a value for every dimension; these settings are tried before the sampler's own.
        contrasts: name -> (better, worse), two titles of `first` whose difference is reported.
        recipe: how the trials are tuned.
        seed: of every trial, so that they are paired; below 101, because a search chooses.
        pruner: ends trials early by what their training yields; its steps are training steps.
        smallest_effect: points of the objective; settings closer to the best than this count as alike.

    Raises:
        StudyError: for what cannot be explored.
    """

    dimensions: Mapping[str, Dimension]
    fixed: Mapping[str, object] = field(default_factory=dict)
    first: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    contrasts: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    recipe: Recipe = "instruct"
    seed: int = 1
    pruner: BasePruner = field(default_factory=_median)
    smallest_effect: float = 0.5

    def __post_init__(self) -> None:
        if not self.dimensions:
            raise StudyError("SPACE has no dimensions; name one dotted field with a distribution at least")
        for name, dimension in self.dimensions.items():
            if not isinstance(dimension, Dimension):
                raise StudyError(
                    f"dimension {name!r} is {dimension!r}; give a FloatDistribution, an IntDistribution or "
                    "a CategoricalDistribution of optuna.distributions"
                )
            if len(set(_ends(dimension))) < 2:
                raise StudyError(f"dimension {name!r} has one value, {dimension}; put it into fixed")
            if name.partition(".")[0] not in TRAINED or name == "train.seed":
                raise StudyError(
                    f"dimension {name!r} is no field that trials can differ in; choose one of the sections "
                    f"{', '.join(TRAINED)}, except train.seed, which all trials share"
                )
            if name in self.fixed:
                raise StudyError(f"{name!r} is a dimension and in fixed; remove one")
        if self.recipe not in RECIPES:
            raise StudyError(f"recipe is {self.recipe!r}; choose one of {', '.join(RECIPES)}")
        if not 0 < self.seed < FIRST_SEED:
            raise StudyError(f"seed is {self.seed}; a search chooses, so take one from 1 to {FIRST_SEED - 1}")
        for title, values in self.first.items():
            if odd := set(values) ^ set(self.dimensions):
                raise StudyError(f"first {title!r}: give each dimension a value, and no other: {sorted(odd)}")
            for name, value in values.items():
                dimension = self.dimensions[name]
                if not dimension._contains(dimension.to_internal_repr(value)):
                    raise StudyError(f"first {title!r}: {name} is {value!r}, outside of {dimension}")
        for name, pair in self.contrasts.items():
            if odd := set(pair) - set(self.first):
                raise StudyError(f"contrast {name!r} names {sorted(odd)}, which is not in first")

    def setting(self, base: Config, values: Mapping[str, Any]) -> Config:
        """The configuration of a trial.

        Raises:
            ConfigError: for an unknown field or a value that does not fit.
        """
        return changed(base, {**self.fixed, **values, "train.seed": self.seed})

    def corner(self) -> dict[str, Any]:
        """The first value of every dimension: one setting that stands for all."""
        return {name: _ends(dimension)[0] for name, dimension in self.dimensions.items()}

    def to_dict(self) -> dict[str, Any]:
        """What identifies the space, and what a report needs to know of it; plain values."""
        return {
            "dimensions": {name: _plain(dimension) for name, dimension in self.dimensions.items()},
            "fixed": dict(self.fixed),
            "first": {title: dict(values) for title, values in self.first.items()},
            "contrasts": {name: list(pair) for name, pair in self.contrasts.items()},
            "recipe": self.recipe,
            "seed": self.seed,
            "pruner": {
                "name": type(self.pruner).__name__,
                **{key.strip("_"): str(v) for key, v in vars(self.pruner).items() if isinstance(v, SCALARS)},
            },
            "smallest_effect": self.smallest_effect,
        }


def load(folder: Path, base: Config) -> Space:
    """The SPACE in a study's study.py, checked at the ends of each dimension.

    Raises:
        StudyError: naming file, field and remedy.
    """
    path = folder / "study.py"
    with explained(path):
        made = module(path)
        space = getattr(made, "SPACE", None)
        if not isinstance(space, Space):
            raise StudyError("it has no SPACE to explore; see experiments/dataset_weights/study.py")
        for name, dimension in space.dimensions.items():
            for end in _ends(dimension):
                try:
                    space.setting(base, {**space.corner(), name: end})
                except ConfigError as error:
                    raise StudyError(f"dimension {name!r} at {end!r}: {error}") from error
    return space


def _ends(dimension: Dimension) -> tuple[Any, ...]:
    if isinstance(dimension, CategoricalDistribution):
        return tuple(dimension.choices)
    return dimension.low, dimension.high


def _plain(dimension: Dimension) -> dict[str, Any]:
    if isinstance(dimension, CategoricalDistribution):
        return {"choices": list(dimension.choices)}
    whole = isinstance(dimension, IntDistribution)
    plain = {"low": dimension.low, "high": dimension.high, "log": dimension.log, "whole": whole}
    # only where it is asked for: earlier spaces, and the trials found by them, lack it
    return plain | ({} if dimension.step == (1 if whole else None) else {"step": dimension.step})
