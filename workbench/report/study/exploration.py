"""What an exploration found: a surface fitted to its trials, and what follows from it.

A Gaussian process (Matérn 5/2 with noise; scikit-learn) is fitted to the trials that were trained to the
end. Response curves are its mean over the other dimensions; they, contrasts and flatness are about the
surface, so the noise of a single training is taken out as far as the trials allow.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy.stats import qmc
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

TRIALS, EXPLORATION = "trials.csv", "exploration.json"
FEWEST = 6  # finished trials below which no surface is fitted
POINTS = 21  # of a response curve
SAMPLES = 512  # of the space: a power of two, as Sobol's sequence wants
TOLERANCES = (0.25, 0.5, 1.0, 2.0)  # points below the best
Floats = npt.NDArray[np.float64]
Space = Mapping[str, Any]  # see search/space.py, Space.to_dict


class Surface:
    """The objective as a function of the dimensions.

    Args:
        trials: one line per finished trial.
        space: what the trials vary, as exploration.json has it.
        column: of `trials`, what the surface is of.
    """

    def __init__(self, trials: pd.DataFrame, space: Space, column: str) -> None:
        self._dimensions = space["dimensions"]
        inputs = self.encode(trials[list(self._dimensions)].to_dict("records"))
        values = trials[column].to_numpy(dtype=np.float64)
        self._mean, self._scale = float(values.mean()), float(values.std()) or 1.0
        kernel = ConstantKernel(1.0, (0.01, 100)) * Matern(np.ones(inputs.shape[1]), (0.05, 50), nu=2.5)
        model = GaussianProcessRegressor(
            kernel + WhiteKernel(0.1, (1e-4, 2)), n_restarts_optimizer=4, random_state=0
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound: no influence
            self._model = model.fit(inputs, (values - self._mean) / self._scale)
        self._noise = float(self._model.kernel_.k2.noise_level)

    @property
    def noise(self) -> float:
        """Points: the standard deviation of a training around the surface."""
        return float(np.sqrt(self._noise)) * self._scale

    def encode(self, settings: Sequence[Mapping[Any, Any]]) -> Floats:
        """(n, d) in the unit cube: choices one column each, logarithms where the space says so."""
        columns = []
        for name, dimension in self._dimensions.items():
            given = [setting[name] for setting in settings]
            if "choices" in dimension:
                columns += [[float(value == choice) for value in given] for choice in dimension["choices"]]
                continue
            scale = np.log if dimension["log"] else np.asarray
            low, high = scale(dimension["low"]), scale(dimension["high"])
            columns.append(((scale(np.array(given, dtype=np.float64)) - low) / (high - low)).tolist())
        return np.array(columns, dtype=np.float64).T

    def predict(self, settings: Sequence[Mapping[str, Any]]) -> tuple[Floats, Floats]:
        """(n,) means and (n, n) covariances of the surface, in points."""
        mean, covariance = self._model.predict(self.encode(settings), return_cov=True)
        covariance = covariance - self._noise * np.eye(len(mean))
        return mean * self._scale + self._mean, covariance * self._scale**2


def surface(frame: pd.DataFrame, space: Space) -> dict[str, Any] | None:
    """Response curves, flatness, the best setting and the contrasts; None below FEWEST finished trials."""
    done = frame[frame["state"] == "complete"]
    if len(done) < FEWEST:
        return None
    fitted = Surface(done, space, "val")
    everywhere = sample(space)
    means, _ = fitted.predict(everywhere)
    best = done.iloc[int(done["val"].to_numpy().argmax())]
    return {
        "noise": fitted.noise,
        "best_trial": {"trial": best["trial"], "val": float(best["val"])}
        | {name: _scalar(best[name]) for name in space["dimensions"]},
        "best_predicted": {**everywhere[int(means.argmax())], "val": float(means.max())},
        "flatness": {str(points): float((means >= means.max() - points).mean()) for points in TOLERANCES},
        "responses": {name: response(fitted, space, name, everywhere) for name in space["dimensions"]},
        "contrasts": contrasts(done, space),
    }


def sample(space: Space, count: int = SAMPLES) -> list[dict[str, Any]]:
    """Settings spread evenly over the space (Sobol, fixed seed)."""
    dimensions = space["dimensions"]
    unit = qmc.Sobol(len(dimensions), seed=0).random(count)
    return [
        {name: place(dimensions[name], share) for name, share in zip(dimensions, line, strict=True)}
        for line in unit.tolist()
    ]


def place(dimension: Mapping[str, Any], share: float) -> Any:
    """The value at a share in [0, 1] of a dimension's range."""
    if "choices" in dimension:
        choices = dimension["choices"]
        return choices[min(int(share * len(choices)), len(choices) - 1)]
    low, high = dimension["low"], dimension["high"]
    value = low * (high / low) ** share if dimension["log"] else low + (high - low) * share
    if step := dimension.get("step"):
        value = low + step * round((value - low) / step)
    return round(value) if dimension["whole"] else value


def response(
    fitted: Surface, space: Space, name: str, everywhere: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """The surface's mean along one dimension, averaged over the others, with its standard error.

    `alike` is the range of values whose mean is within space["smallest_effect"] of the highest.
    """
    dimension = space["dimensions"][name]
    values = dimension.get("choices") or list(
        dict.fromkeys(place(dimension, share) for share in np.linspace(0, 1, POINTS).tolist())
    )
    means, errors = [], []
    for value in values:
        mean, covariance = fitted.predict([{**setting, name: value} for setting in everywhere])
        means.append(float(mean.mean()))
        errors.append(float(np.sqrt(max(covariance.mean(), 0.0))))
    least = max(means) - space["smallest_effect"]
    alike = [value for value, mean in zip(values, means, strict=True) if mean >= least]
    return {"values": list(values), "mean": means, "error": errors, "alike": [alike[0], alike[-1]]}


def contrasts(done: pd.DataFrame, space: Space) -> dict[str, dict[str, dict[str, float]]]:
    """Contrast -> objective or dataset -> difference of the two settings, in points.

    `measured` is that of the two trials, one training each; `mean` and `error` are the surface's, which
    all trials inform.
    """
    found: dict[str, dict[str, dict[str, float]]] = {}
    columns = [name for name in done.columns if name == "val" or name.startswith("val/")]
    surfaces = {column: Surface(done, space, column) for column in columns if space["contrasts"]}
    for name, (better, worse) in space["contrasts"].items():
        found[name] = {}
        for column, fitted in surfaces.items():
            mean, covariance = fitted.predict([space["first"][better], space["first"][worse]])
            spread = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
            line = {"mean": float(mean[0] - mean[1]), "error": float(np.sqrt(max(spread, 0.0)))}
            sides = [done.loc[done["first"] == side, column] for side in (better, worse)]
            if all(len(side) for side in sides):  # a pruned trial has no comparable value
                line["measured"] = float(sides[0].iloc[0] - sides[1].iloc[0])
            found[name][column] = line
    return found


def _scalar(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value
