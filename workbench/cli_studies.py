"""The commands about studies, and what every command begins and ends with."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer

studies = typer.Typer()
STUDIES = "Studies (experiments/)"
Result = TypeVar("Result")


def run_stage(name: str, *arguments: str) -> None:
    """Runs a stage as DVC does: this directory's code, in a process of its own."""
    command = [sys.executable, "-m", f"workbench.stages.{name}", *arguments]
    raise typer.Exit(subprocess.run(command, check=False).returncode)


def explained(work: Callable[[], Result]) -> Result:
    """The result, or the error's one sentence instead of a traceback."""
    try:
        return work()
    except BrokenPipeError:  # who reads has seen enough, which typer knows how to end
        raise
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")


def _at_once(jobs: int | None) -> list[str]:
    return [] if jobs is None else ["-j", str(jobs)]


Seeds = Annotated[str, typer.Option(help="how many (5: 101 to 105), or which: 101,102")]
Workers = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, help="cells side by side", show_default="params.yaml's workers"),
]
Storage = Annotated[
    str,
    typer.Option(
        envvar="WORKBENCH_STORAGE",
        help="URL of a PostgreSQL or MySQL database for Optuna; keep passwords in the variable",
        show_default="sqlite",
    ),
]
Reclaim = Annotated[
    str, typer.Option(help="a machine that is gone for good: take back what its workers had in hand")
]
Development = Annotated[
    bool, typer.Option("--development", help="seeds from 1 on, shown in no report: outputs/development")
]


@studies.command(rich_help_panel=STUDIES)
def ablate(
    study: Annotated[str, typer.Argument(help="a folder of experiments/")],
    seeds: Seeds = "5",
    jobs: Workers = None,
    storage: Storage = "",
    development: Development = False,
    arms: Annotated[str, typer.Option(help="some of them, with commas between; all without")] = "",
    reclaim: Reclaim = "",
) -> None:
    """Run the cells of a study (arm x seed) that are not recorded yet: outputs/studies/STUDY."""
    os.environ["WORKBENCH_STORAGE"] = storage
    given = ["--study", study, "--seeds", seeds, "--arms", arms, "--reclaim", reclaim, *_at_once(jobs)]
    run_stage("ablate", *given, *(["--development"] if development else []))


@studies.command(rich_help_panel=STUDIES)
def explore(
    study: Annotated[str, typer.Argument(help="a folder of experiments/ whose study.py has a SPACE")],
    trials: Annotated[int, typer.Option(help="how many in all, those of earlier calls included")] = 40,
    jobs: Workers = None,
    storage: Storage = "",
    reclaim: Reclaim = "",
) -> None:
    """Search a study's space by held-in validation, pruning what lags: outputs/explorations/STUDY."""
    os.environ["WORKBENCH_STORAGE"] = storage
    given = ["--study", study, "--trials", str(trials), "--reclaim", reclaim, *_at_once(jobs)]
    run_stage("explore", *given)


@studies.command(rich_help_panel=STUDIES)
def plan(
    study: Annotated[str, typer.Argument(help="a folder of experiments/")] = "",
    seeds: Seeds = "5",
    jobs: Workers = None,
    development: Development = False,
    preset: Annotated[str, typer.Option(help="instead of a study: one training with this preset")] = "",
    settings: Annotated[
        list[str] | None, typer.Option("--set", "-S", help="over the preset: train.accumulate_steps=4")
    ] = None,
    hardware: Annotated[str, typer.Option(help="h200, h100, a100-40g, a100-80g, v100, cpu")] = "a100-40g",
    gpus: Annotated[int, typer.Option(help="how many of it", min=1)] = 1,
    lengths: Annotated[
        tuple[int, int], typer.Option(help="mean tokens of instruction and answer, for FLOPs", min=1)
    ] = (32, 16),
    longest: Annotated[
        tuple[int, int], typer.Option(help="the longest, for memory: what longer ones are cut to", min=1)
    ] = (128, 256),
    arms: Annotated[str, typer.Option(help="of the study, with commas between them; all without")] = "",
    step_seconds: Annotated[
        float | None, typer.Option(help="what a step of a whole batch took there (benchmarks/paper_step.py)")
    ] = None,
) -> None:
    """Say which cells a study has and what missing ones take (needs features); or what a preset takes."""
    if bool(study) == bool(preset):
        sys.exit("error: name a study, or a preset with --preset, and not both")
    # torch takes seconds to come
    from workbench.config import changed, load
    from workbench.search.plan import lines
    from workbench.search.plan import plan as made_for

    if preset:
        from workbench.presets import read
        from workbench.search.cost import Lengths
        from workbench.search.hardware import describe

        root = Path.cwd()
        texts = Lengths(*lengths), Lengths(*longest)
        config = explained(lambda: changed(read(root, preset), _assigned(settings or ())))
        typer.echo("counting steps on tensors without contents, half a minute for the largest", err=True)
        said = explained(lambda: describe(config, root, preset, hardware, gpus, *texts, step_seconds))
        typer.echo("\n".join(said))
        return
    made = explained(
        lambda: made_for(load(Path("params.yaml")), Path.cwd(), study, seeds, jobs, development, arms)
    )
    typer.echo("\n".join([*lines(made), *_seeds_needed(Path("outputs/studies") / study)]))


def _assigned(settings: Iterable[str]) -> dict[str, Any]:
    """Fields and values of texts like ``train.accumulate_steps=4``, read as in params.yaml."""
    import yaml

    pairs = [text.partition("=") for text in settings]
    wrong = next((name for name, equals, _ in pairs if not equals), None)
    if wrong is not None:
        raise ValueError(f"--set {wrong} has no value; write {wrong}=VALUE")
    return {name: yaml.safe_load(value) for name, _, value in pairs}


def _seeds_needed(folder: Path) -> list[str]:
    """What the variance of the finished cells says about the number of seeds."""
    from workbench.report.outputs import ReportError
    from workbench.report.study.collected import CELLS, read_study
    from workbench.report.study.effects import find
    from workbench.report.study.power import needed

    if not (folder / CELLS).is_file():
        return ["seeds needed: not known before cells are collected; run `workbench ablate` with two seeds"]
    try:
        return needed(find(read_study(folder)))
    except ReportError as error:
        return [f"seeds needed: not known, {error}"]


@studies.command(rich_help_panel=STUDIES)
def figure(study: Annotated[str, typer.Argument(help="a study that was run or explored")]) -> None:
    """Draw what a study's figure.py draws, from its collected results: reports/studies."""
    run_stage("figure", "--study", study)


@studies.command(rich_help_panel=STUDIES)
def flops(study: Annotated[str, typer.Argument(help="a folder of experiments/ with matched arms")]) -> None:
    """Count what a training step of each arm takes: flops.json, which sets the steps of matched arms."""
    run_stage("flops", "--study", study)


@studies.command(rich_help_panel=STUDIES)
def reproduce(
    table: Annotated[Literal["table1", "table2", "table3", "figure4"], typer.Argument(help="of the paper")],
    checkpoint: Annotated[
        str,
        typer.Option(help="a run, folder of runs, tuned checkpoint or start; by default all of outputs/"),
    ] = "",
    against: Annotated[str, typer.Option(help="the paper's row to compare with, as the table names it")] = "",
) -> None:
    """Put recorded scores beside a table of the paper: reports/reproduce/TABLE.md, .csv and .html."""
    from workbench.config import load
    from workbench.data.catalog import HELD_IN
    from workbench.experiment.record import folder_hash
    from workbench.report.reproduce.page import publish

    explained(lambda: load(Path("params.yaml")))  # elsewhere than at the root there is no record, and no page
    place = Path(checkpoint) if checkpoint else None
    starts = [folder_hash(one.parent) for one in sorted(place.glob("blip2-*/config.json"))] if place else []
    made, path = explained(lambda: publish(table, Path.cwd(), HELD_IN, place, against, starts))
    typer.echo("\n".join([*made.notes, f"{len(made.ours)} rows of ours beside the paper's: {path}"]))
