"""The trials of an exploration in Optuna's storage, beside the queue that hands them out.

A slot of the queue (`trial000`, ...) is one trial: the first process that takes it asks the sampler for
values and marks the trial with the slot. Whoever takes the slot again, after a kill, goes on with the
same trial and, as the values are the same, with the same half-trained run. So no trial is lost, none is
run twice, and none stays open for nobody.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from filelock import FileLock
from optuna.importance import FanovaImportanceEvaluator, PedAnovaImportanceEvaluator
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState

from workbench.search.queue import default_url, opened, own_name
from workbench.search.space import Space
from workbench.tracking import Stopped

ENDED = (TrialState.COMPLETE, TrialState.PRUNED)
FEWEST = 4  # finished trials below which no importance is computed
Watch = Callable[[int, Mapping[str, float]], None]


class Exploration:
    """One study's trials under one key.

    Args:
        place: a folder that all workers share.
        name: of the study in the storage; other code, data or spaces make another name.
        url: an SQLAlchemy URL; empty: sqlite in `place`.

    Raises:
        StudyError: when the database does not answer or holds something else.
    """

    def __init__(self, place: Path, name: str, space: Space, url: str = "") -> None:
        place.mkdir(parents=True, exist_ok=True)
        self._lock, self._space = FileLock(place / "exploration.lock"), space
        with self._lock:
            self.study = opened(url or default_url(place), own_name(place, name, url))
        self.study.pruner = space.pruner

    def prepare(self) -> None:
        """Fails trials that a kill left without a slot and enqueues the settings to try first.

        A setting whose values were edited is another one: its earlier trial keeps its values, not the title.
        """
        with self._lock:
            for trial in self._trials(TrialState.RUNNING):
                if "slot" not in trial.user_attrs:
                    self.study.tell(trial.number, state=TrialState.FAIL)
            for trial in self._trials(TrialState.WAITING):
                if "first" in trial.user_attrs and not self._title(trial):
                    self.study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
            kept = self._trials(TrialState.WAITING, TrialState.RUNNING, *ENDED)  # what failed comes again
            known = {self._title(trial) for trial in kept}
            for title, values in self._space.first.items():
                if title not in known:
                    self.study.enqueue_trial(dict(values), user_attrs={"first": title})

    def begin(self, slot: str) -> optuna.Trial:
        """The slot's trial: the one that a killed worker left open, or a new one."""
        with self._lock:
            for trial in self._trials(TrialState.RUNNING):
                if trial.user_attrs.get("slot") == slot:
                    return optuna.Trial(self.study, trial._trial_id)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
                failed = [t for t in self._trials(TrialState.FAIL) if t.user_attrs.get("slot") == slot]
                # side by side, workers would draw alike, and so would a slot that failed
                seed = int.from_bytes(f"{slot}{len(failed) or ''}".encode()) % 2**32
                self.study.sampler = TPESampler(multivariate=True, constant_liar=True, seed=seed)
            asked = self.study.ask(dict(self._space.dimensions))
            asked.set_user_attr("slot", slot)
            return asked

    def report(self, trial: optuna.Trial, step: int, point: Mapping[str, float]) -> bool:
        """Tells Optuna a validation, once; says whether the point of the curve has one."""
        if "val" in point and step not in self._frozen(trial).intermediate_values:
            trial.report(point["val"], step)
        return "val" in point

    def watch(self, trial: optuna.Trial, steps: int) -> Watch:
        """What listens to a training's stream: reports each validation and ends what the pruner gives up.

        The callable raises `Stopped`, but never at the last of the `steps`.
        """

        def listen(step: int, point: Mapping[str, float]) -> None:
            if self.report(trial, step, point) and step < steps and trial.should_prune():
                raise Stopped(f"trial {trial.number} is pruned at step {step}")

        return listen

    def complete(self, trial: optuna.Trial, value: float, notes: Mapping[str, Any]) -> float:
        """Ends a trial that was trained to the end; its value is the objective."""
        for name, note in notes.items():
            trial.set_user_attr(name, note)
        with self._lock:
            self.study.tell(trial, value)
        return value

    def prune(self, trial: optuna.Trial) -> float:
        """Ends a trial early; the last validation stands for it."""
        with self._lock:
            self.study.tell(trial, state=TrialState.PRUNED)
        seen = self._frozen(trial).intermediate_values
        return float(seen[max(seen)])

    def fail(self, trial: optuna.Trial) -> None:
        """Ends a trial whose training ended with an error."""
        with self._lock:
            self.study.tell(trial, state=TrialState.FAIL)

    def ended(self, slot: str) -> bool:
        """Whether the slot's trial was trained to the end or pruned."""
        return any(trial.user_attrs.get("slot") == slot for trial in self._trials(*ENDED))

    def frame(self) -> pd.DataFrame:
        """One line per trial that ended, in their order: values of the dimensions, objective, notes."""
        lines = []
        for trial in sorted(self._trials(*ENDED), key=lambda found: str(found.user_attrs.get("slot"))):
            notes = {name: note for name, note in trial.user_attrs.items() if name not in ("slot", "first")}
            line = {"trial": trial.user_attrs["slot"], "state": trial.state.name.lower(), "val": trial.value}
            line |= {"steps": max(trial.intermediate_values), "first": self._title(trial)}
            lines.append({**line, **trial.params, **dict(sorted(notes.items()))})
        return pd.DataFrame(lines)

    def importance(self) -> dict[str, dict[str, float] | None]:
        """Method -> dimension -> share, over the trials that were trained to the end; None for too few.

        fANOVA shares out the variance of the objective over the whole space (Hutter et al. 2014); PED-ANOVA
        says what decides whether a trial is among the best (Watanabe et al. 2023). They answer different
        questions and can differ much.
        """
        evaluators = {
            "fanova": FanovaImportanceEvaluator(seed=0),
            "ped_anova": PedAnovaImportanceEvaluator(),
        }
        values = {trial.value for trial in self._trials(TrialState.COMPLETE)}
        if len(self._trials(TrialState.COMPLETE)) < FEWEST or len(values) < 2:
            return dict.fromkeys(evaluators)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return {
                name: {
                    dimension: float(share)
                    for dimension, share in optuna.importance.get_param_importances(
                        self.study, evaluator=evaluator, params=list(self._space.dimensions)
                    ).items()
                }
                for name, evaluator in evaluators.items()
            }

    def _title(self, trial: FrozenTrial) -> str:
        """Which of the settings to try first it is, by title and values; "" for none."""
        title = str(trial.user_attrs.get("first", ""))
        values = trial.params or trial.system_attrs.get("fixed_params")
        return title if values == dict(self._space.first.get(title, {})) else ""

    def _trials(self, *states: TrialState) -> list[FrozenTrial]:
        return self.study.get_trials(deepcopy=False, states=states)

    def _frozen(self, trial: optuna.Trial) -> FrozenTrial:
        return next(t for t in self.study.get_trials(deepcopy=False) if t.number == trial.number)
