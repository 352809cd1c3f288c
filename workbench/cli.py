"""The command line. Heavy imports stay inside the commands: --help has to be there at once."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import typer

data = typer.Typer(help="The official datasets: are they there, whole, the paper's?", no_args_is_help=True)
app = typer.Typer(
    help="Why does InstructBLIP work? Tune it, take parts of it away, and compare.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(data, name="data", rich_help_panel="Tools")
STAGES = "Stages (dvc repro runs them in order)"
STUDIES = "Studies (experiments/)"
TOOLS = "Tools"
PORT = 5000
Result = TypeVar("Result")


def _stage(name: str, *arguments: str) -> None:
    """Runs a stage as DVC does: this directory's code, in a process of its own."""
    command = [sys.executable, "-m", f"workbench.stages.{name}", *arguments]
    raise typer.Exit(subprocess.run(command, check=False).returncode)


def _explained(work: Callable[[], Result]) -> Result:
    """The result, or the error's one sentence instead of a traceback."""
    try:
        return work()
    except ValueError as error:
        sys.exit(f"error: {error}")


@app.command(rich_help_panel=STAGES)
def prepare() -> None:
    """Make the suite's datasets: data/prepared."""
    _stage("prepare")


@app.command(rich_help_panel=STAGES)
def features() -> None:
    """Encode every picture once with the frozen ViT: data/features."""
    _stage("features")


@app.command(rich_help_panel=STAGES)
def start() -> None:
    """Make model.start of the checkpoints that model.checkpoint lists: hub ids, folders, LAVIS files."""
    _stage("start")


@app.command(rich_help_panel=STAGES)
def pretrain(family: Annotated[str, typer.Argument(help="t5 or llama")] = "t5") -> None:
    """Train a shipped BLIP-2 start again (hours; frozen in dvc.yaml): backbones/micro/blip2-FAMILY."""
    _stage("pretrain", "--family", family)


@app.command(rich_help_panel=STAGES)
def tune(
    recipe: Annotated[str, typer.Argument(help="instruct, multitask_plain, multitask_tagged")] = "",
) -> None:
    """Tune the BLIP-2 start with one recipe, or side by side with all: outputs/tune/RECIPE."""
    _stage("tune", *(["--recipe", recipe] if recipe else []))


@app.command(rich_help_panel=STAGES)
def evaluate(
    row: Annotated[str, typer.Argument(help="blip2, a recipe, or multitask_tagged_tags")] = "",
) -> None:
    """Examine one model or all on all datasets, with and without the picture: outputs/evaluate/ROW."""
    _stage("evaluate", *(["--row", row] if row else []))


@app.command(rich_help_panel=STAGES)
def report(
    study: Annotated[str, typer.Argument(help="a study that was run: its page alone, reports/studies")] = "",
) -> None:
    """Write reports/index.html and reports/main.md."""
    _stage("report", *(["--study", study] if study else []))


Seeds = Annotated[str, typer.Option(help="how many (5: 101 to 105), or which: 101,102")]
Workers = Annotated[int, typer.Option("--jobs", "-j", help="cells side by side")]
Storage = Annotated[
    str,
    typer.Option(
        envvar="WORKBENCH_STORAGE",
        help="URL of a PostgreSQL or MySQL database for Optuna; keep passwords in the variable",
        show_default="sqlite",
    ),
]
Development = Annotated[
    bool, typer.Option("--development", help="seeds from 1 on, shown in no report: outputs/development")
]


@app.command(rich_help_panel=STUDIES)
def ablate(
    study: Annotated[str, typer.Argument(help="a folder of experiments/")],
    seeds: Seeds = "5",
    jobs: Workers = 2,
    storage: Storage = "",
    development: Development = False,
) -> None:
    """Run the cells of a study (arm x seed) that are not recorded yet: outputs/studies/STUDY."""
    os.environ["WORKBENCH_STORAGE"] = storage
    given = ["--study", study, "--seeds", seeds, "-j", str(jobs)]
    _stage("ablate", *given, *(["--development"] if development else []))


@app.command(rich_help_panel=STUDIES)
def explore(
    study: Annotated[str, typer.Argument(help="a folder of experiments/ whose study.py has a SPACE")],
    trials: Annotated[int, typer.Option(help="how many in all, those of earlier calls included")] = 40,
    jobs: Workers = 2,
    storage: Storage = "",
) -> None:
    """Search a study's space by held-in validation, pruning what lags: outputs/explorations/STUDY."""
    os.environ["WORKBENCH_STORAGE"] = storage
    _stage("explore", "--study", study, "--trials", str(trials), "-j", str(jobs))


@app.command(rich_help_panel=STUDIES)
def plan(
    study: Annotated[str, typer.Argument(help="a folder of experiments/")] = "",
    seeds: Seeds = "5",
    jobs: Workers = 2,
    development: Development = False,
    preset: Annotated[str, typer.Option(help="instead of a study: one training with this preset")] = "",
    hardware: Annotated[str, typer.Option(help="h100, a100-40g, a100-80g, v100, cpu")] = "a100-40g",
    gpus: Annotated[int, typer.Option(help="how many of it", min=1)] = 1,
) -> None:
    """Say which cells a study has and what the missing ones take here; or what a preset takes where."""
    from workbench.config import load
    from workbench.search.plan import lines
    from workbench.search.plan import plan as made_for

    if bool(study) == bool(preset):
        sys.exit("error: name a study, or a preset with --preset, and not both")
    if preset:
        from workbench.presets import read
        from workbench.search.cost import Lengths
        from workbench.search.hardware import describe

        root = Path.cwd()
        said = _explained(lambda: describe(read(root, preset), root, preset, hardware, gpus, Lengths()))
        typer.echo("\n".join(said))
        return
    made = _explained(
        lambda: made_for(load(Path("params.yaml")), Path.cwd(), study, seeds, jobs, development)
    )
    typer.echo("\n".join(lines(made)))


@app.command(rich_help_panel=STUDIES)
def figure(study: Annotated[str, typer.Argument(help="a study that was run or explored")]) -> None:
    """Draw what a study's figure.py draws, from its collected results: reports/studies."""
    _stage("figure", "--study", study)


@app.command(rich_help_panel=STUDIES)
def flops(study: Annotated[str, typer.Argument(help="a folder of experiments/ with matched arms")]) -> None:
    """Count what a training step of each arm takes: flops.json, which sets the steps of matched arms."""
    _stage("flops", "--study", study)


@app.command(rich_help_panel=STUDIES)
def reproduce(
    table: Annotated[Literal["table1", "table2", "table3", "figure4"], typer.Argument(help="of the paper")],
    checkpoint: Annotated[
        str, typer.Option(help="a run, a folder of runs or a tuned checkpoint; by default all of outputs/")
    ] = "",
    against: Annotated[str, typer.Option(help="the paper's row to compare with, as the table names it")] = "",
) -> None:
    """Put recorded scores beside a table of the paper: reports/reproduce/TABLE.md, .csv and .html."""
    from workbench.data.catalog import HELD_IN
    from workbench.report.reproduce_page import publish

    place = Path(checkpoint) if checkpoint else None
    made, path = _explained(lambda: publish(table, Path.cwd(), HELD_IN, place, against))
    typer.echo("\n".join([*made.notes, f"{len(made.ours)} rows of ours beside the paper's: {path}"]))


@app.command(rich_help_panel=TOOLS)
def preset(name: Annotated[str, typer.Argument(help="smoke, micro, small, paper-flant5xl, ...")]) -> None:
    """Set params.yaml to a named preset, keeping its comments."""
    from workbench import presets

    changes = _explained(lambda: presets.apply(Path.cwd(), name))
    typer.echo("\n".join(changes) or f"params.yaml is {name} already")


@app.command(rich_help_panel=TOOLS)
def ui(port: Annotated[int, typer.Option(help="where to listen on 127.0.0.1")] = PORT) -> None:
    """Open MLflow's pages for this machine's browser: one worker, no jobs, no pickles."""
    from workbench.surroundings import home
    from workbench.tracking import database_uri

    place = home(Path.cwd())
    if not (place / "mlflow.db").is_file():
        sys.exit(f"error: {place / 'mlflow.db'} does not exist; run a stage that trains or evaluates first")
    settings = {
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "MLFLOW_ALLOW_PICKLE_DESERIALIZATION": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
    }
    command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(port)]
    command += ["--workers", "1", "--allowed-hosts", f"localhost:{port},127.0.0.1:{port}"]
    command += ["--backend-store-uri", database_uri(place)]
    command += ["--default-artifact-root", (place / "mlruns").as_uri()]
    typer.echo(f"MLflow is starting; in some seconds it is at http://127.0.0.1:{port} (Ctrl-C ends it)")
    os.execvpe(command[0], command, {**os.environ, **settings})


Root = Annotated[Path, typer.Argument(help="the folder that holds the official files")]


@data.command("check")
def check_data(
    root: Root,
    datasets: Annotated[list[str] | None, typer.Argument(help="some datasets; all by default")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="do not decode pictures and videos")] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", help="pictures side by side")] = 2,
) -> None:
    """Say which official datasets are there, what is wrong with them, and where to get the others."""
    from workbench.data.official import check

    names = _explained(lambda: check.named(datasets or ()))
    if not root.is_dir():
        sys.exit(f"error: {root} is not a folder; put the official files below one")
    examination, well = check.Check(root, not quick, jobs), True
    for name in names:
        finding = examination.dataset(name)
        well = well and finding.state == "present"
        for line in check.lines(finding):
            typer.echo(line)
    for expected, sentence in examination.shared():
        well = well and expected
        typer.echo(f"{'shared  ' if expected else 'LEAK    '} {sentence}")
    raise typer.Exit(0 if well else 1)


@data.command("pin")
def pin_data(root: Root, dataset: Annotated[str, typer.Argument(help="a dataset of the hub")]) -> None:
    """Take a dataset from the hub at its newest revision, from now on that one: ROOT/hub.json."""
    from workbench.data.official.hub import pin

    revision = _explained(lambda: pin(root, dataset))
    typer.echo(f"{dataset} is read from the hub at {revision}")


@app.command(rich_help_panel=TOOLS)
def doctor() -> None:
    """Say what is installed, which devices and disk there are, and whether artefacts match their hashes."""
    from workbench.doctor import examine

    well = True
    for good, finding in examine(Path.cwd()):
        typer.echo(f"{'ok ' if good else 'BAD'}  {finding}")
        well = well and good
    raise typer.Exit(0 if well else 1)


@app.command(rich_help_panel=TOOLS)
def verify(
    study: Annotated[str, typer.Argument(help="a study's page alone; all and the report without")] = "",
) -> None:
    """Check every hash and build the report again: is it, byte by byte, what the records say?"""
    from workbench.verify import verify as check

    well = True
    for good, finding in check(Path.cwd(), study):
        typer.echo(f"{'ok ' if good else 'BAD'}  {finding}")
        well = well and good
    raise typer.Exit(0 if well else 1)


@app.command(rich_help_panel=TOOLS)
def ask(
    image: Annotated[Path, typer.Argument(help="a picture")],
    question: Annotated[str, typer.Argument(help="what to ask about it")],
    recipe: Annotated[str, typer.Option(help="whose weights; blip2 for the start itself")] = "instruct",
    options: Annotated[str, typer.Option(help="candidates to rank, separated by commas")] = "",
    out: Annotated[Path, typer.Option(help="where the attention picture goes")] = Path("attention.png"),
) -> None:
    """Ask a tuned model about a picture: its answer, ranked alternatives, and where the Q-Former looks."""
    from workbench.config import load
    from workbench.experiment.asking import ask as put

    candidates = tuple(text.strip() for text in options.split(",") if text.strip())
    said = _explained(
        lambda: put(load(Path("params.yaml")), Path.cwd(), image, question, recipe, candidates, out)
    )
    typer.echo(said.answer)
    for text, score in said.alternatives:
        typer.echo(f"  {score:8.2f}  {text}")
    typer.echo(f"attention over the picture: {out}")


def main() -> None:
    """The entry point."""
    app()


if __name__ == "__main__":
    main()
