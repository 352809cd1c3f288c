"""The command line. Heavy imports stay inside the commands: --help has to be there at once."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from workbench.cli_studies import explained, run_stage, studies

data = typer.Typer(help="The official datasets: are they there, whole, the paper's?", no_args_is_help=True)
app = typer.Typer(
    help="Why does InstructBLIP work? Tune it, take parts of it away, and compare.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(studies)
app.add_typer(data, name="data", rich_help_panel="Tools")
STAGES = "Stages (dvc repro runs prepare, features, tune, evaluate, report)"
TOOLS = "Tools"
PORT = 5000


@app.command(rich_help_panel=STAGES)
def prepare() -> None:
    """Make the suite's datasets: data/prepared."""
    run_stage("prepare")


@app.command(rich_help_panel=STAGES)
def features() -> None:
    """Encode every picture once with the frozen ViT: data/features."""
    run_stage("features")


@app.command(rich_help_panel=STAGES)
def start() -> None:
    """Make model.start of the checkpoints that model.checkpoint lists: hub ids, folders, LAVIS files."""
    run_stage("start")


@app.command(rich_help_panel=STAGES)
def pretrain(family: Annotated[str, typer.Argument(help="t5 or llama")] = "t5") -> None:
    """Train a shipped BLIP-2 start again (minutes; its parts take hours): backbones/micro/blip2-FAMILY."""
    run_stage("pretrain", "--family", family)


@app.command(rich_help_panel=STAGES)
def tune(
    recipe: Annotated[str, typer.Argument(help="instruct, multitask_plain, multitask_tagged")] = "",
) -> None:
    """Tune the BLIP-2 start with one recipe, or side by side with all: outputs/tune/RECIPE."""
    run_stage("tune", *(["--recipe", recipe] if recipe else []))


@app.command(rich_help_panel=STAGES)
def evaluate(
    row: Annotated[str, typer.Argument(help="blip2, a recipe, or multitask_tagged_tags")] = "",
) -> None:
    """Examine one model or all on all datasets, with and without the picture: outputs/evaluate/ROW."""
    run_stage("evaluate", *(["--row", row] if row else []))


@app.command(rich_help_panel=STAGES)
def report(
    study: Annotated[str, typer.Argument(help="a study that was run: its page alone, reports/studies")] = "",
) -> None:
    """Write reports/index.html and reports/main.md."""
    run_stage(*(("page", "--study", study) if study else ("report",)))


@app.command(rich_help_panel=TOOLS)
def preset(name: Annotated[str, typer.Argument(help="smoke, micro, small, paper-flant5xl, ...")]) -> None:
    """Set params.yaml to a named preset, keeping its comments."""
    from workbench import presets

    changes = explained(lambda: presets.apply(Path.cwd(), name))
    typer.echo("\n".join(changes) or f"params.yaml is {name} already")


@app.command(rich_help_panel=TOOLS)
def ui(port: Annotated[int, typer.Option(help="where to listen on 127.0.0.1")] = PORT) -> None:
    """Open MLflow's pages for this machine's browser: one worker, no jobs, no pickles."""
    from workbench import database
    from workbench.surroundings import home

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
    command += ["--backend-store-uri", database.uri(place)]
    command += ["--default-artifact-root", (place / "mlruns").as_uri()]
    typer.echo(f"MLflow is starting; in some seconds it is at http://127.0.0.1:{port} (Ctrl-C ends it)")
    os.execvpe(command[0], command, {**os.environ, **settings})


Root = Annotated[Path, typer.Argument(help="the folder that holds the official files")]


@data.command("check")
def check_data(
    root: Root,
    datasets: Annotated[list[str] | None, typer.Argument(help="some datasets; all by default")] = None,
    quick: Annotated[bool, typer.Option("--quick", help="do not decode pictures and videos")] = False,
    jobs: Annotated[int, typer.Option("--jobs", "-j", min=1, help="pictures side by side")] = 2,
    every: Annotated[bool, typer.Option("--all", help="name every fault, not the first 20 of a set")] = False,
) -> None:
    """Say which official datasets are there, what is wrong with them, and where to get the others."""
    well = explained(lambda: _checked(root, datasets or [], quick, jobs, every))
    raise typer.Exit(0 if well else 1)


def _checked(root: Path, datasets: list[str], quick: bool, jobs: int, every: bool) -> bool:
    from workbench.data.official import check

    names = check.named(datasets)
    if not root.is_dir():
        raise ValueError(f"{root} is not a folder; put the official files below one")
    shown = sys.maxsize if every else check.SHOWN
    examination, well = check.Check(root, not quick, jobs, shown), True
    for name in names:
        finding = examination.dataset(name)
        well = well and finding.state == "present"
        for line in check.lines(finding):
            typer.echo(line)
    for expected, sentence in examination.shared():
        well = well and expected
        typer.echo(f"{'shared  ' if expected else 'LEAK    '} {sentence}")
    return well


@data.command("pin")
def pin_data(root: Root, dataset: Annotated[str, typer.Argument(help="a dataset of the hub")]) -> None:
    """Take a dataset from the hub at its newest revision, from now on that one: ROOT/hub.json."""
    from workbench.data.official.hub import pin

    revision = explained(lambda: pin(root, dataset))
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
    given = {"image": image, "question": question, "recipe": recipe, "options": options, "out": out}
    run_stage("ask", *(f"--{name}={value}" for name, value in given.items()))


@app.command(rich_help_panel=TOOLS)
def submit(
    dataset: Annotated[str, typer.Argument(help="vizwiz or aokvqa")],
    row: Annotated[str, typer.Option(help="of the comparison; blip2 for the start itself")] = "instruct",
) -> None:
    """Answer a test set whose answers only a server has: outputs/submissions, in the form it wants."""
    run_stage("submit", "--dataset", dataset, "--row", row)


def main() -> None:
    """The entry point; in another checkout than its own it says so, as stages do (stages/guard.py)."""
    here, own = Path("workbench/__init__.py"), Path(__file__).with_name("__init__.py")
    if here.is_file() and not here.samefile(own):
        sys.exit(
            f"error: this is the command of {own.parents[1]}, and {Path.cwd()} is another checkout; there, "
            "type `python -m workbench.cli` in place of `workbench`, or activate its own .venv"
        )
    app()


if __name__ == "__main__":
    main()
