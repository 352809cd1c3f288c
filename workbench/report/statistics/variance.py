"""What training seeds and test images add to the error of a mean, and how far it then strays from the truth.

benchmarks/calibration.py shows how often the intervals are right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from workbench.report.statistics.behrens_fisher import critical, criticals, two_sided, variances
from workbench.report.statistics.intervals import LEVEL, Floats, Interval

HIDDEN = 0.4  # of the residual part: see Variance.share


@dataclass(frozen=True, slots=True)
class Variance:
    """The squared standard error of a mean over training seeds and test images, by its sources.

    The three clusterings are Cameron, Gelbach and Miller's (2011).

    Attributes:
        by_seed: clustered on seeds, in squared units of the value; NaN for one seed.
        by_image: clustered on images.
        by_cell: clustered on seed and image together. The other two both contain what is a cell's own; it
            also holds a seeds-th of the images' variance (and an images-th of the seeds'), so that `total`
            comes out a little small where images differ much, which its floor mends in part.
        seeds: S.
        images: G.
    """

    by_seed: float
    by_image: float
    by_cell: float
    seeds: int
    images: int

    @property
    def total(self) -> float:
        """by_seed + by_image - by_cell, and no less than either of the first two; one seed: by_image.

        The difference of estimates can fall below what one source alone gives, and with it the error.
        """
        return self.by_image if self.seeds == 1 else float(self._total(np.array(self.by_seed)))

    def _total(self, by_seed: Floats) -> Floats:
        return np.maximum(np.maximum(by_seed + self.by_image - self.by_cell, by_seed), self.by_image)

    @property
    def error(self) -> float:
        """Standard error, in the value's unit."""
        return float(np.sqrt(self.total))

    @property
    def residual(self) -> float:
        """What cells scatter by beyond their seed and their image: part of by_seed and of by_image.

        The mean square that a two-way analysis of variance leaves, by the number of cells.
        """
        rows, columns = self.seeds - 1, self.images - 1
        squares = (self.seeds * self.images - 1) * self.by_cell
        squares -= rows * self.by_seed + columns * self.by_image
        return max(squares / (rows * columns), 0.0)

    @property
    def common(self) -> float:
        """What images differ by whatever the seed; it stays with any number of seeds. One seed: by_image."""
        return self.by_image if self.seeds == 1 else max(self.by_image - self.residual, 0.0)

    @property
    def share(self) -> float:
        """Of `total`, what is known from S - 1 differences between seeds only; the images tell the rest.

        That is by_seed, less HIDDEN of its residual part, which many cells tell. All of that would be too
        much: where seeds differ, but these few happen to agree, the residual is most of by_seed. HIDDEN
        was chosen in a normal model over all ratios of the three sources (benchmarks/share_of_seeds.py):
        with 3, 5 and 10 seeds intervals cover 93.9 to 98.1 %, with nothing taken off up to 99.5, with all
        down to 91.3. At p = .0125, where Holm decides, differences that are not there are found in 2.5 %
        of the worst case (three seeds that differ much) and .9 % of the mean one.
        """
        if self.seeds == 1 or self.total == 0:
            return 0.0
        return float(self._share(np.array(self.by_seed)))

    def _share(self, by_seed: Floats) -> Floats:
        return np.clip((by_seed - HIDDEN * self.residual) / self._total(by_seed), 0.0, 1.0)

    @property
    def freedoms(self) -> tuple[int, int]:
        """Degrees of freedom of the seeds' part and of the images'."""
        return max(self.seeds - 1, 1), self.images - 1

    def p(self, distance: float) -> float:
        """Two-sided, of a value this far from the truth or further."""
        if self.error == 0:  # no seed and no image differs from another
            return 1.0 if distance == 0 else 0.0
        return two_sided(abs(distance) / self.error, self.share, *self.freedoms)

    def found(self, effect: float, alpha: float) -> float:
        """Chance that studies with these variances find a true effect on its own side of zero.

        Their estimates of the seeds' part scatter as chi2(S - 1); each has its own error and critical value.
        What images add is taken as known if there are several seeds: with 20 images that is a point of
        power too many at the most.
        """
        if self.seeds == 1:
            freedom = self.images - 1
            return float(stats.nct.sf(stats.t.isf(alpha / 2, freedom), freedom, effect / self.error))
        estimated, often = variances(self.seeds - 1)
        by_seed = self.by_seed * estimated
        bars = criticals(alpha, *self.freedoms)(self._share(by_seed)) * np.sqrt(self._total(by_seed))
        return float(often @ stats.norm.sf((bars - effect) / self.error))

    def at(self, seeds: int) -> Variance:
        """The same study with another number of seeds: their part shrinks as 1 / S, the images' stays.

        Raises:
            ValueError: if the study has one seed, or is to have fewer than two.
        """
        if self.seeds == 1 or seeds < 2:
            raise ValueError(
                "one seed says nothing about others; train two at least before planning for more"
            )
        by_seed, residual = self.by_seed * self.seeds / seeds, self.residual * self.seeds / seeds
        by_image, rows, columns = self.common + residual, seeds - 1, self.images - 1
        squares = rows * columns * residual + rows * by_seed + columns * by_image
        return Variance(by_seed, by_image, squares / (seeds * self.images - 1), seeds, self.images)

    def interval(self, value: float) -> Interval:
        """The value with 95 % of the reference distribution on both sides."""
        half = critical(1 - LEVEL, self.share, *self.freedoms) * self.error
        return Interval(
            value, value - half, value + half, self.error, self.images if self.seeds == 1 else self.seeds
        )


def variance(shares: Floats, images: Sequence[str]) -> Variance:
    """Of the mean of shares; each clustering with its G / (G - 1) (Cameron, Gelbach and Miller 2011, 2.11).

    Args:
        shares: (S, n) one line per training seed, the same examples in the same order.
        images: (n,) the image of each example.

    Raises:
        ValueError: for fewer than two images.
    """
    _, owner = np.unique(np.asarray(images), return_inverse=True)
    seeds, groups = len(shares), int(owner.max(initial=-1)) + 1
    if groups < 2:
        raise ValueError(f"an interval over images needs two images at least, not {groups}")
    centred = shares - shares.mean()
    cells = np.stack([np.bincount(owner, line, groups) for line in centred])
    by_seed, by_image, by_cell = (
        len(sums) / (len(sums) - 1) * float((sums**2).sum()) / shares.size**2 if len(sums) > 1 else np.nan
        for sums in (cells.sum(1), cells.sum(0), cells.ravel())
    )
    return Variance(by_seed, by_image, by_cell, seeds, groups)
