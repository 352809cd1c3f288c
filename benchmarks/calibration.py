"""Do the statistics hold what they say? Simulated studies whose true effect is known.

    python benchmarks/calibration.py                  # reports/calibration/{calibration.csv,calibration.svg}
    python benchmarks/calibration.py --studies 200    # a look, in a minute or two

Each study has two arms, S training seeds and a test set; both arms, seeds and images are drawn anew from
a population, and `report.effects.effect` sees what it would see of a real study. Without an effect (A/A)
the arms are drawn alike; with one, the first is better by an amount that is known exactly. How much seeds,
images and their combinations vary follows what sources.py finds in the recorded studies.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy import stats

from workbench import files
from workbench.report import figures
from workbench.report.statistics.effects import Effect, Paired, effect
from workbench.report.statistics.intervals import Floats, Resampling, resample
from workbench.report.statistics.planning import power
from workbench.report.statistics.variance import Variance

ROOT = Path(__file__).parents[1]
SEEDS, GAINS = (3, 5, 10), (0.0, 0.05, 0.125)  # 0.05 is about two points of an accuracy of 50 %
EXAMPLES, IMAGES = 150, 100  # a micro test set: every second image is asked about twice
DATASETS = 8  # of an average, as in the paper's Figure 4: seven of shares and one of AUC
STEEP = 8.0  # logits for each unit of quality: what is easy for one training mostly is for another
CAPTION, VIVID, NOISE = 270.0, 0.31, 0.23  # level of CIDEr x 100, what a unit of quality and a caption add
MARGIN = 0.4  # standard deviation of a margin, beyond training and image
OWNER = np.arange(EXAMPLES) * IMAGES // EXAMPLES
POSITIVE = np.arange(EXAMPLES) % 2 == 0
CELLS = 20_000  # of an integral


@dataclass(frozen=True, slots=True)
class World:
    """How much trainings and images vary, where images differ in difficulty by 1.

    Attributes:
        seed: standard deviation of what two trainings of one seed differ by; 0.04 is 1.5 points.
        image: of what one arm finds easier about an image than the other.
    """

    seed: float
    image: float


WORLDS = {
    "arms alike": World(0.04, 0.12),  # with and without the text path; mixtures
    "arms unlike": World(0.04, 0.42),  # instruct against multitask and BLIP-2
    "loud seeds": World(0.12, 0.25),  # three times what was measured
}
LOOKS = {
    "arms alike": ("#0072B2", "o"),
    "arms unlike": ("#009E73", "^"),
    "loud seeds": ("#D55E00", "s"),
}


def arms(rng: np.random.Generator, world: World, seeds: int, images: int) -> tuple[Floats, Floats]:
    """(2, S) qualities of trainings and (2, images) of images, each with mean 0."""
    shared = rng.normal(0, 1, images)
    own = rng.normal(0, world.image / np.sqrt(2), (2, images))  # their difference has world.image
    return rng.normal(0, world.seed / np.sqrt(2), (2, seeds)), shared + own


def _spread(world: World) -> float:
    """Variance of a quality in one arm."""
    return 1 + (world.image**2 + world.seed**2) / 2


def accuracy(rng: np.random.Generator, trainings: Floats, images: Floats, gain: float, name: str) -> Paired:
    """Right or wrong, in percent."""
    quality = trainings + np.array([[gain], [0.0]])
    logits = STEEP * (quality[:, :, None] + images[:, None, OWNER])
    right = 100.0 * (rng.random(logits.shape) < 1 / (1 + np.exp(-logits)))
    return Paired("exact_match", right[0], right[1], _names(name))


def accuracy_gain(world: World, gain: float) -> float:
    """Points by which the first arm is better in the population."""
    return _mean_right(world, gain) - _mean_right(world, 0.0)


def _mean_right(world: World, gain: float) -> float:
    """Percent right where qualities are normal: the logistic is a probability, of a logistic threshold."""
    thresholds = stats.logistic.ppf((np.arange(CELLS) + 0.5) / CELLS)
    return float(100 * stats.norm.cdf((STEEP * gain - thresholds) / (STEEP * _spread(world) ** 0.5)).mean())


def cider(rng: np.random.Generator, trainings: Floats, images: Floats, gain: float, name: str) -> Paired:
    """Right-skewed scores, as CIDEr x 100 of captions is; twice as loud as accuracy, for seeds and arms."""
    quality = 2 * (trainings + np.array([[gain], [0.0]]))
    shared, own = images.mean(0), images - images.mean(0)
    level = quality[:, :, None] + (shared + 2 * own)[:, None, OWNER]
    noise = rng.normal(0, NOISE, (*trainings.shape, EXAMPLES))
    return Paired("cider", *(CAPTION * (1 + VIVID * level + noise) ** 2), _names(name))


def cider_gain(gain: float) -> float:
    """Points: the mean of a square is the square of the mean and the variance, which is the same in both."""
    return CAPTION * ((1 + 2 * VIVID * gain) ** 2 - 1)


def auc(rng: np.random.Generator, trainings: Floats, images: Floats, gain: float, name: str) -> Paired:
    """Margins of yes against no; trainings differ in how far they keep the two apart."""
    apart = 1.0 + 2 * (trainings + np.array([[gain], [0.0]]))
    noise = images[:, None, OWNER] + rng.normal(0, MARGIN, (*trainings.shape, EXAMPLES))
    margins = apart[:, :, None] * POSITIVE + noise
    return Paired("auc", margins[0], margins[1], _names(name), POSITIVE)


def auc_gain(world: World, gain: float) -> float:
    """Points; a yes and a no on different images differ by a normal amount."""
    spread = np.sqrt(2 * (1 + world.image**2 / 2 + MARGIN**2) + 4 * world.seed**2 / 2)
    return float(100 * (stats.norm.cdf((1 + 2 * gain) / spread) - stats.norm.cdf(1 / spread)))


def average(rng: np.random.Generator, world: World, seeds: int, gain: float) -> list[Paired]:
    """Several datasets of their own images; half of a training's quality is the same on all."""
    common = rng.normal(0, world.seed / 2, (2, seeds))
    pairs = []
    for number in range(DATASETS):
        trainings, images = arms(rng, world, seeds, IMAGES)
        draw = auc if number == DATASETS - 1 else accuracy
        pairs.append(draw(rng, trainings / np.sqrt(2) + common, images, gain, f"set {number}"))
    return pairs


def average_gain(world: World, gain: float) -> float:
    """Points of the mean over the datasets."""
    return ((DATASETS - 1) * accuracy_gain(world, gain) + auc_gain(world, gain)) / DATASETS


MEASURES = {
    "accuracy": (accuracy, accuracy_gain),
    "CIDEr": (cider, lambda world, gain: cider_gain(gain)),
    "AUC": (auc, auc_gain),
}
TITLES = (*MEASURES, "average of 8 datasets")


def _names(dataset: str) -> list[str]:
    return [f"{dataset}, {image}" for image in OWNER]


def study(
    rng: np.random.Generator, measure: str, world: World, seeds: int, gain: float, drawn: Resampling
) -> Effect:
    """One study's effect, as the report finds it."""
    if measure not in MEASURES:
        return effect(average(rng, world, seeds, gain), drawn)
    trainings, images = arms(rng, world, seeds, IMAGES)
    return effect([MEASURES[measure][0](rng, trainings, images, gain, "set 0")], drawn)


def truth(measure: str, world: World, gain: float) -> float:
    """The population's effect, in points."""
    return MEASURES[measure][1](world, gain) if measure in MEASURES else average_gain(world, gain)


def simulate(
    measure: str, world: World, seeds: int, studies: int, gain: float, drawn: Resampling, seed: int
) -> dict[str, float]:
    """How often intervals hold the truth and an effect is found, over many studies.

    Returns:
        effect: the true one, in points.
        covered: share of the intervals with the true effect in them.
        above, below: share of the studies that find an effect on that side of zero.
        planned: the share above zero that `planning.power` gives for the mean of the estimated variances.
        error, estimated: standard error as the studies scatter, and as they say (root mean square).
    """
    place = [*WORLDS.values()].index(world), TITLES.index(measure)
    rng, true = np.random.default_rng([seed, *place, seeds]), truth(measure, world, gain)
    found = [study(rng, measure, world, seeds, gain, drawn) for _ in range(studies)]
    intervals = [one.interval for one in found]
    parts = [
        float(np.mean([getattr(one.variance, part) for one in found]))
        for part in ("by_seed", "by_image", "by_cell")
    ]
    mean = Variance(*parts, seeds, found[0].variance.images)
    return {
        "effect": true,
        "covered": float(np.mean([one.low <= true <= one.high for one in intervals])),
        "above": float(np.mean([one.low > 0 for one in intervals])),
        "below": float(np.mean([one.high < 0 for one in intervals])),
        "planned": power(true, mean) if true > 0 else float("nan"),
        "error": float(np.std([one.value for one in found])),
        "estimated": float(np.sqrt(np.mean([one.variance.total for one in found]))),
    }


def counts(repetitions: int) -> Resampling:
    """One set of draws for all studies, as a study has one for all of its effects."""
    names = (f"set {number}, {image}" for number in range(DATASETS) for image in range(IMAGES))
    return resample(names, repetitions)


def table(studies: int, repetitions: int, seed: int, gains: Sequence[float] = GAINS) -> pd.DataFrame:
    """One line for each world, measure, number of seeds and gain; says on the way what it has found."""
    drawn, lines = counts(repetitions), []
    for (name, world), measure, seeds, gain in itertools.product(WORLDS.items(), TITLES, SEEDS, gains):
        began = time.perf_counter()
        found = simulate(measure, world, seeds, studies, gain, drawn, seed)
        named = {"world": name, "measure": measure, "seeds": seeds, "gain": gain, "studies": studies}
        lines.append(named | found)
        print(
            f"{name}, {measure}, {seeds} seeds, effect {found['effect']:.1f}: covers {found['covered']:.1%}, "
            f"finds {found['above']:.1%} above and {found['below']:.1%} below zero "
            f"({time.perf_counter() - began:.0f} s)",
            flush=True,
        )
    return pd.DataFrame(lines)


def picture(found: pd.DataFrame) -> Figure:
    """False positives, coverage, and power against what was planned."""
    with mpl.rc_context(figures.STYLE):
        figure = Figure(figsize=(7.6, 4.4), layout="constrained")
        panels = figure.subplots(1, 3, width_ratios=(1, 1, 1.15))
        rows = [(measure, seeds) for measure in TITLES for seeds in SEEDS]
        wrong = found[found["gain"] == 0].assign(share=lambda lines: lines["above"] + lines["below"])
        for axes, lines, column, title, band in (
            (panels[0], wrong, "share", "False positives, %", (0, 7)),
            (panels[1], found[found["gain"] > 0], "covered", "Intervals that cover, %", (93, 98)),
        ):
            axes.axvspan(*band, color=figures.LINE, alpha=0.5, linewidth=0)
            for name, offset in zip(WORLDS, (-0.2, 0.0, 0.2), strict=True):
                mine = lines[lines["world"] == name].set_index(["measure", "seeds"])[column]
                for place, row in enumerate(rows):
                    values = 100 * mine.loc[[row]]
                    axes.plot(
                        values, [place + offset] * len(values), LOOKS[name][1], color=LOOKS[name][0], ms=4
                    )
            figures.rows_axis(axes, [f"{measure}, {seeds}" for measure, seeds in rows])
            axes.set_title(title)
        panels[0].axvline(5, color=figures.MUTED, linewidth=1)
        panels[1].axvline(95, color=figures.MUTED, linewidth=1)
        panels[1].set_yticklabels([])
        _power(panels[2], found[found["gain"] > 0])
        marks = [figures.handle(marker, colour, name) for name, (colour, marker) in LOOKS.items()]
        figures.legend(figure, marks)
    return figure


def _power(axes: Axes, found: pd.DataFrame) -> None:
    axes.plot([0, 100], [0, 100], color=figures.MUTED, linewidth=1)
    for name, (colour, marker) in LOOKS.items():
        lines = found[found["world"] == name]
        axes.plot(100 * lines["planned"], 100 * lines["above"], marker, color=colour, ms=4, ls="")
    axes.set(xlabel="planned", title="Effects found, %")
    axes.grid(True, linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)


def main(studies: int, repetitions: int, seed: int, out: Path) -> None:
    """Writes the table and the figure, and says whether the bars are met."""
    found = table(studies, repetitions, seed)
    files.write_text(
        out / "calibration.csv", found.to_csv(index=False, float_format="%.4g", lineterminator="\n")
    )
    files.write_text(out / "calibration.svg", figures.svg(picture(found)))
    none = found[found["gain"] == 0]
    wrong, covered = none["above"] + none["below"], found["covered"]
    print(
        f"{studies} studies each: false positives {wrong.min():.1%} to {wrong.max():.1%}, "
        f"coverage {covered.min():.1%} to {covered.max():.1%}: {out / 'calibration.csv'}"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--studies", type=int, default=2000, help="simulated for each line of the table")
    parser.add_argument("--repetitions", type=int, default=400, help="of the bootstrap; reports use 2000")
    parser.add_argument("--seed", type=int, default=2023)
    parser.add_argument("--out", type=Path, default=ROOT / "reports/calibration")
    given = parser.parse_args()
    main(given.studies, given.repetitions, given.seed, given.out)
