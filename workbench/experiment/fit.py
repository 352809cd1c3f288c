"""Tuning, recorded: the one door to a tuned model. Paper section 3.4 has the three recipes."""

from __future__ import annotations

import json
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import pandas as pd
import torch
from accelerate import Accelerator, PartialState
from accelerate.utils import broadcast_object_list, gather_object
from filelock import FileLock

from workbench import files, tracking
from workbench.config import Config
from workbench.data.augment import FreshViews
from workbench.data.catalog import HELD_IN, for_suite
from workbench.data.features import FeatureStore
from workbench.data.mixture import Mixture
from workbench.data.prepare import load_examples
from workbench.data.templates import Templates, evaluation_text, training_text
from workbench.evaluate.metrics import score
from workbench.experiment import record, sample
from workbench.experiment.answers import WEIGHTS, answers, load_weights, materials, save_weights, tuned_record
from workbench.experiment.curve import CURVE, Curve, counts, cut, flat, read_curve
from workbench.experiment.operations import step_flops
from workbench.progress import shown
from workbench.records import Recipe
from workbench.surroundings import home
from workbench.train import checkpoint
from workbench.train.checkpoint import Progress
from workbench.train.feed import micro_batches
from workbench.train.loop import train
from workbench.train.optimizer import adamw
from workbench.train.schedule import learning_rate


def fit(
    config: Config,
    recipe: Recipe,
    root: Path,
    after: Path | None = None,
    watch: Callable[[int, Curve], None] = lambda step, point: None,
) -> Path:
    """The folder of the finished run: record.json, curve.jsonl, best.safetensors, checkpoint/, and in words
    for MLflow sample.csv and scores.md.

    A finished run is returned as it is; one that was killed goes on from its checkpoint and ends with
    the same bits on a CPU (on a GPU sums have an order of their own: equal but for rounding); two
    processes that want the same run wait for each other. Those that accelerate has started together
    make it together: the first of them writes.

    Args:
        root: holds data/prepared, data/features and the start; runs/ lies there, or below DVC_ROOT.
        after: the folder of a finished run whose weights this one begins with; by default the start's.
        watch: called with each step that is made here and its point of the curve. It may end the run by
            raising; the next call goes on from the last checkpoint.

    Raises:
        ValueError: for missing or damaged inputs, and for a finished run without the weights its record
            names, naming file and remedy.
        TrainingDiverged: naming step, dataset and examples.
    """
    hashes = signed(config, recipe, root, after.name if after else "")
    folder = home(root) / "runs" / files.digest(hashes)
    folder.mkdir(parents=True, exist_ok=True)
    together = PartialState(cpu=not torch.cuda.is_available())  # else two on CPUs are two alone
    lock: AbstractContextManager[object] = FileLock(folder / ".lock")
    with lock if together.is_main_process else nullcontext():
        finished = together.is_main_process and (folder / record.RECORD).is_file()
        if finished:
            tuned_record(folder, f"delete the folder {folder} and run again")
        (finished,) = broadcast_object_list([finished])
        if not finished:
            _Run(config, recipe, root, folder, hashes, after).finish(watch)
        together.wait_for_everyone()
    return folder


def signed(config: Config, recipe: Recipe, root: Path, after: str = "") -> dict[str, str]:
    """Hashes of everything a tuned model follows from; what concerns only its evaluation is left out.

    Args:
        after: the signature of the run whose weights it begins with, which stands for all of that one's.
    """
    datasets = record.held_in(config)
    return {
        "recipe": recipe,
        "config": settings_hash(config, root),
        "start": record.folder_hash(record.start_folder(config, root)),
        **record.data_hashes(root, config, datasets, ("train", "val")),
        "catalogue": record.rows_hash(datasets, config.suite),
        "code": record.code_hash("workbench.experiment.fit"),
        **({"after": after} if after else {}),
    }


def settings_hash(config: Config, root: Path) -> str:
    """The digest of those parameters that a tuned model follows from."""
    tuned = {
        "datasets": sorted(record.held_in(config)),
        "factors": _factors(config),
        "sampling": [config.data.sampling, config.data.mixing, config.data.exponent],
        "templates": _templates_hash(config, root),
        "training_crop": config.data.training_crop,
        "model": record.switches(config),
        "train": asdict(config.train),
    }
    return files.digest(tuned)


class _Run:
    """One tuning run on its way to a record."""

    def __init__(
        self,
        config: Config,
        recipe: Recipe,
        root: Path,
        folder: Path,
        hashes: Mapping[str, str],
        after: Path | None = None,
    ) -> None:
        self.config, self.recipe, self.folder, self.hashes = config, recipe, folder, hashes
        self.home, self.signature = home(root), folder.name
        torch.manual_seed(config.train.seed)
        self.accelerator = Accelerator(mixed_precision="no")  # whatever the user's: train.precision decides
        self.model, self.collator = materials(config, root, self.accelerator.device)
        self.model.prepare_training(config.train.precision, config.train.gradient_checkpointing)
        if after is not None:
            load_weights(after / WEIGHTS, self.model.trainable())
        self.optimizer = adamw(self.model.trainable(), config.train)
        names, prepared = record.held_in(config), root / "data/prepared"
        self.examples = {name: load_examples(prepared, name, "train") for name in names}
        wanted = config.train.validation_examples
        self.validation = {name: load_examples(prepared, name, "val")[:wanted] for name in names}
        sizes = {name: len(examples) for name, examples in self.examples.items()}
        data = config.data
        self.mixture = Mixture(sizes, data.sampling, _factors(config), data.mixing, data.exponent)
        templates = Templates.load(_template_source(config, root))
        views = None
        if data.training_crop:
            store, encoder = self.collator.store, record.encoder_folder(config, root)
            assert isinstance(store, FeatureStore), "materials opens one"
            views = FreshViews(prepared, encoder, self.accelerator.device, store.key)
        self.batches = micro_batches(
            self.mixture,
            self.examples,
            lambda example, draw: training_text(example, recipe, templates, draw),
            self.collator,
            config.train,
            self.accelerator.process_index,
            self.accelerator.num_processes,
            views,
        )
        self.progress = Progress(self.signature, 0)

    def finish(self, watch: Callable[[int, Curve], None]) -> None:
        """Trains what is left and, in the first process, writes the record."""
        if not self.accelerator.is_main_process:
            for _ in self.points():
                pass
            return
        share = step_flops(self.model, self.batches) * self.config.train.steps
        flops = share * self.accelerator.num_processes  # of equal size
        frozen = self.model.frozen_checksum()
        with tracking.run(
            self.home, self.config, name=f"tune {self.recipe}", signature=self.signature, tags=self.tags()
        ) as track:
            for step, point in track.follow(self.points()):
                due = step % self.config.train.checkpoint_every_steps == 0
                if due or step == self.config.train.steps:
                    self.save(step)
                watch(step, dict(point))
            assert self.model.frozen_checksum() == frozen, "training changed a frozen weight"
            curve = read_curve(self.folder)
            best = curve[(self.progress.best_step or 1) - 1]
            title = f"{self.recipe}, validation at step {best['step']}"
            sample.write_table(self.folder, title, sample.validated(best, self.config.suite))
            record.Record(
                kind="tune",
                name=self.recipe,
                signature=self.signature,
                suite=self.config.suite,
                seed=self.config.train.seed,
                config=self.config.to_dict(),
                hashes=self.hashes,
                cost=record.Cost(sum(p["seconds"] for p in curve), flops, record.peak_memory()),
                examples=dict(sum((Counter(counts(p)) for p in curve), Counter())),
                result={"probabilities": self.mixture.probabilities, "best_step": best["step"]}
                | {"weights_sha256": files.file_sha256(self.folder / WEIGHTS)}
                | {key: value for key, value in best.items() if key.startswith("val/")},
            ).write(self.folder)
            for name in (record.RECORD, sample.SAMPLE, sample.TABLE):
                track.artifact(self.folder / name)

    def points(self) -> Iterator[tuple[int, Curve]]:
        """One point of the curve per step, written to curve.jsonl as well; starts after the checkpoint."""
        train_config = self.config.train
        parameters = self.model.trainable()
        found = checkpoint.load(self.folder / "checkpoint", parameters, self.optimizer, self.signature)
        self.progress = found or self.progress
        done = self.progress.step
        path = self.folder / CURVE if self.accelerator.is_main_process else Path(os.devnull)
        if self.accelerator.is_main_process:
            cut(self.folder, done)
        stream = train(
            self.model,
            self.optimizer,
            partial(learning_rate, config=train_config),
            self.batches,
            self.accelerator,
            precision=train_config.precision,
            seed=train_config.seed,
            start_step=done,
            steps=train_config.steps,
        )
        with path.open("a", encoding="utf-8") as curve:
            began = time.perf_counter()
            for step, metrics in shown(stream, f"tune {self.recipe}", train_config.steps, done):
                point = flat(step, metrics)
                if step % train_config.eval_every_steps == 0 or step == train_config.steps:
                    point |= self.validate(step)
                point["seconds"] = time.perf_counter() - began
                began = time.perf_counter()
                curve.write(json.dumps(point) + "\n")
                curve.flush()
                yield step, {key: value for key, value in point.items() if not key.startswith("drawn/")}

    def validate(self, step: int) -> Curve:
        """Greedy answers to some validation examples of every held-in dataset; keeps the best weights.

        One checkpoint for all datasets, by the mean of their scores (paper section 2.6). Each process
        answers its share, as many examples at once as it trains on.
        """
        scores: Curve = {}
        said_first: list[pd.DataFrame] = []
        rank, world = self.accelerator.process_index, self.accelerator.num_processes
        at_once = max(1, self.config.train.batch_size // (world * self.config.train.accumulate_steps))
        for name, examples in self.validation.items():
            row = for_suite(name, self.config.suite)
            said = answers(
                self.model,
                self.collator,
                row,
                examples[rank::world],
                partial(evaluation_text, row=self.recipe),
                batch_size=at_once,
                num_beams=1,
            )
            said = gather_object(said)
            result = score(row.metric, said)
            scores[f"val/{name}"] = result.value
            said_first.append(sample.first(said, result.per_example))
        mean = statistics.fmean(scores.values())
        if self.progress.best_score is None or mean > self.progress.best_score:
            if self.accelerator.is_main_process:
                save_weights(self.folder / WEIGHTS, self.model.trainable())
                sample.write_sample(self.folder, pd.concat(said_first))
            self.progress = replace(self.progress, best_score=mean, best_step=step)
        return {"val": mean, **scores}

    def save(self, step: int) -> None:
        """Makes the run resumable from this step."""
        self.progress = replace(self.progress, step=step)
        checkpoint.save(self.folder / "checkpoint", self.model.trainable(), self.optimizer, self.progress)

    def tags(self) -> dict[str, str]:
        """What the MLflow run is found by."""
        named = {"stage": "tune", "recipe": self.recipe, "suite": self.config.suite}
        hashes = {f"hash.{key}": value for key, value in self.hashes.items() if key != "recipe"}
        return named | {"seed": str(self.config.train.seed)} | hashes


def _factors(config: Config) -> dict[str, float]:
    """The manual weights in the mixture; those of held-in sets that are left out of it do not count."""
    chosen = record.held_in(config)
    return {k: v for k, v in sorted(config.data.factors.items()) if k in chosen or k not in HELD_IN}


def _templates_hash(config: Config, root: Path) -> str:
    """Of a file that is whole: `workbench ablate` signs all its cells before it trains the first."""
    source = _template_source(config, root)
    Templates.load(source)
    return source if source == "builtin" else files.file_sha256(Path(source))


def _template_source(config: Config, root: Path) -> str:
    source = config.data.templates
    return source if source == "builtin" else str(root / source)
