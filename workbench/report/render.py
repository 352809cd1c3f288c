"""Writes reports/: one self-contained page, one Markdown file, figures and tables as files."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup, escape

from workbench import files
from workbench.report import calibration, figures, front, words
from workbench.report.compare import HELD_IN, HELD_OUT, Comparison, Suite, compare
from workbench.report.gallery import OpenImage, gallery
from workbench.report.methods import METHODS
from workbench.report.outputs import Tables, read
from workbench.report.ranked import PLACES, ranked
from workbench.report.scenes import scenes
from workbench.report.study.verdicts import probability

HERE = Path(__file__).parent
LARGEST_PAGE = 1_000_000  # bytes


def build(
    outputs: Path, reports: Path, open_image: OpenImage, suite: Suite, studies: Sequence[str] = ()
) -> Path:
    """Reads outputs/ and writes the whole report; two builds of the same outputs are byte-equal.

    Writes reports/index.html, reports/main.md, reports/figures/*.svg and reports/tables/*.csv.

    Args:
        open_image: from an image reference of predictions.parquet to the picture.
        studies: names of the studies there are, run or not; reports/studies has the pages of those that
            were run (see `study_page.build_study`).

    Returns:
        The path of index.html.

    Raises:
        ReportError: see `table.read` and `compare.compare`.
    """
    tables = read(outputs)
    comparison = compare(tables, suite)
    paper = files.read_json(HERE / "paper_tables.json")
    drawn = _figures(tables, comparison, suite, paper["figure4_instruction_vs_multitask"]["rows"])
    exhibits = gallery(tables.predictions, suite, tables.rows, open_image)
    if asked := scenes(exhibits):
        alt = "What some datasets ask: a picture, an instruction, what is right."
        drawn["scenes"] = (figures.svg(asked), alt)
    for name, (text, _) in drawn.items():
        files.write_text(reports / "figures" / f"{name}.svg", text)
    for name, frame in _frames(tables, comparison, suite).items():
        text = frame.to_csv(index=False, float_format="%.4f", lineterminator="\n")
        files.write_text(reports / "tables" / f"{name}.csv", text)
    calibrated = calibration.read(reports, [dataset.name for dataset in suite.datasets])
    if calibrated:
        drawn["calibration"] = (calibrated.picture, "Simulated studies: false findings, coverage and power.")
    view = _view(tables, comparison, suite, paper) | {
        "figures": {name: alt for name, (_, alt) in drawn.items()},
        "inline": {name: inline(text, alt) for name, (text, alt) in drawn.items()},
        "exhibits": exhibits,
        "calibration": calibrated,
        **_studies(reports, studies, tables),
    }
    page = environment().get_template("index.html.j2").render(view)
    assert len(page.encode()) < LARGEST_PAGE, "the page outgrew its budget; shrink pictures or figures"
    files.write_text(reports / "index.html", page)
    files.write_text(reports / "main.md", environment().get_template("main.md.j2").render(view))
    return reports / "index.html"


def _studies(reports: Path, names: Sequence[str], tables: Tables) -> dict[str, Any]:
    """All studies, those that were run, first where the paper has a number, and what they began with."""
    found = [front.read(reports / front.FOLDER, name) for name in names]
    found.sort(key=lambda study: all(line.paper is None for line in study.lines))
    own = front.starts_of(record for name, record in tables.records.items() if name.startswith("tune/"))
    return {
        "studies": found,
        "ran": [study for study in found if study.run],
        "starts": own,
        "several": front.several([own, *(study.starts for study in found)]),
    }


def inline(svg: str, alt: str) -> Markup:
    """The figure inside the page: no ids to collide, colours that follow the page's light or dark."""
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", body, flags=re.S)
    body = re.sub(r'<g id="[^"]*"', "<g", body)
    body = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", body, count=1)
    body = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", body, count=1)
    body = re.sub(r"\n\s*", "\n", body)
    body = re.sub(r' transform="rotate\(-0 [^"]*"', "", body)
    body = re.sub(r' d="[^"]*"', lambda path: re.sub(r"\s*([MLCQSz])\s*", r"\1", path[0]), body)
    body = body.replace("font-family: 'DejaVu Sans', sans-serif; ", "")  # the page's own
    body = re.sub(r' style="[^"]*"', lambda style: style[0].replace("; ", ";").replace(": ", ":"), body)
    body = body.replace(";stroke-linejoin:miter", "")  # corners of a pixel; the page's are round
    for colour, variable in (
        (figures.INK, "var(--ink)"),
        (figures.MUTED, "var(--muted)"),
        (figures.LINE, "var(--line)"),
        (figures.PAGE, "var(--page)"),
    ):
        body = body.replace(colour, variable)
    return Markup(body.replace("<svg", f'<svg role="img" aria-label="{escape(alt)}"', 1))


def _figures(
    tables: Tables, comparison: Comparison, suite: Suite, paper: Mapping[str, Sequence[float]]
) -> dict[str, tuple[str, str]]:
    """Name -> (SVG, what it shows, for those who do not see it)."""
    rows = tables.rows
    values = "; ".join(
        f"{METHODS[row].title} {words.number(held_out.value)} and {words.number(held_in.value)}"
        for row in rows
        if (held_out := comparison.average(row, HELD_OUT)) and (held_in := comparison.average(row, HELD_IN))
    )
    drawn = {
        "figure4": (
            figures.figure4(comparison, rows, paper),
            f"Held-out and held-in averages with intervals beside the paper's: {values}.",
        ),
        "datasets": (
            figures.datasets(comparison, suite, rows),
            "Every dataset's score by method with its interval, blind scores as ticks; numbers in the table.",
        ),
        "sampling": (
            figures.sampling(suite),
            "Probability of each held-in dataset under square-root, uniform and proportional sampling.",
        ),
        "cost": (figures.cost(tables), "Seconds and peak memory of each training and scoring."),
    }
    if tables.curves:
        alt = "Training loss and mean validation score over steps for each tuning recipe."
        drawn["curves"] = (figures.curves(tables), alt)
    return {name: (figures.svg(figure), alt) for name, (figure, alt) in drawn.items()}


def _frames(tables: Tables, comparison: Comparison, suite: Suite) -> dict[str, pd.DataFrame]:
    probabilities = pd.DataFrame(suite.sampling).rename_axis("dataset").reset_index()
    return {
        "averages": comparison.averages,
        "datasets": comparison.scores,
        "differences": comparison.differences,
        "domains": comparison.domains,
        "ranked": _ranked(tables, suite),
        "sampling": probabilities,
        "cost": tables.costs,
    }


def _ranked(tables: Tables, suite: Suite) -> pd.DataFrame:
    return ranked(tables.predictions, {dataset.name: dataset.title for dataset in suite.datasets})


def _view(tables: Tables, comparison: Comparison, suite: Suite, paper: Mapping[str, Any]) -> dict[str, Any]:
    """Everything the templates insert, apart from pictures."""
    rows, records = tables.rows, tables.records
    scored = set(tables.scores["dataset"])
    scores = tables.scores.drop_duplicates("dataset")
    figure4 = paper["figure4_instruction_vs_multitask"]
    evaluated = [record for name, record in records.items() if name.startswith("evaluate/")]
    return {
        "suite": ", ".join(sorted({str(record["suite"]) for record in evaluated})),
        "seeds": sorted({record["seed"] for record in evaluated}, key=str),
        "records": records,
        "tags": {name: files.digest(record["hashes"]) for name, record in records.items()},
        "rows": [(row, METHODS[row]) for row in rows],
        "datasets": [d for d in suite.datasets if d.name in scored],
        "averaged": {*suite.held_in, *suite.held_out},
        "counts": dict(zip(scores["dataset"], scores["n"], strict=True)),
        "by_domain": [(d, names) for d in suite.datasets if (names := comparison.domain_names(d.name))],
        "catalogue": suite,
        "groups": [name for name, members in suite.groups.items() if members],
        "ranked": [line for _, line in _ranked(tables, suite).iterrows()],
        "ranks": [*(f"recall@{k}" for k in PLACES), "mean_rank"],
        "comparison": comparison,
        "costs": [line for _, line in tables.costs.iterrows()],
        "paper": figure4["rows"],
        "paper_about": paper["_about"],
        "paper_figure4": figure4,
        "summary": words.summary(comparison, rows),
        "tiles": words.tiles(comparison, figure4["rows"]),
        "bars": words.bars(comparison),
        "HELD_IN": HELD_IN,
        "HELD_OUT": HELD_OUT,
    }


def environment() -> jinja2.Environment:
    """Of all templates: HTML is escaped, whatever is missing is an error."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(HERE / "templates"),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    formats = (words.number, words.signed, words.span, words.clarity, words.ranges)
    for filtered in (*formats, words.mebibytes, words.flops, words.metric, probability):
        found.filters[filtered.__name__] = filtered
    found.globals["METHODS"] = METHODS
    script = (HERE / "templates/page.js").read_text(encoding="utf-8")
    found.globals |= {"script": Markup(script), "policy": _policy(script)}
    return found


def _policy(script: str) -> str:
    """Content-Security-Policy of a page: its own styles, pictures and this one script, and no request."""
    mark = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode("ascii")
    allowed = ("img-src data:", "style-src 'unsafe-inline'", f"script-src 'sha256-{mark}'")
    return "; ".join(("default-src 'none'", *allowed, "base-uri 'none'", "form-action 'none'"))
