import base64
import hashlib
import html
import html.parser
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
from report_outputs import open_image, suite, write_outputs

from workbench import code
from workbench.config import Config
from workbench.files import write_json
from workbench.report.methods import METHODS
from workbench.report.outputs import ReportError
from workbench.report.render import build
from workbench.report.scenes import SHOWN
from workbench.stages import report as stage


@pytest.fixture(scope="module")
def reports(outputs, tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    build(outputs, folder, open_image, suite())
    return folder


@pytest.fixture(scope="module")
def page(reports):
    return (reports / "index.html").read_text()


class Reader(html.parser.HTMLParser):
    """Collects tags and checks that they nest."""

    VOID = frozenset({"meta", "img", "br", "link", "input"})

    def __init__(self):
        super().__init__()
        self.tags, self.open, self.ids = [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self.ids += [value for name, value in attrs if name == "id"]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open, tag
        assert self.open.pop() == tag


def assert_only_its_own_script(page):
    """One script, the one that the page's policy names; whatever else a text smuggles in does not run."""
    (script,) = re.findall(r"<script>(.*?)</script>", page, flags=re.S)
    assert page.count("<script") == 1
    mark = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = html.unescape(re.search(r'http-equiv="Content-Security-Policy" content="([^"]*)"', page)[1])
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert (rules["script-src"], rules["img-src"]) == (f"'sha256-{mark}'", "data:")


def test_two_builds_are_byte_equal(outputs, reports, tmp_path):
    build(outputs, tmp_path, open_image, suite())
    names = sorted(str(path.relative_to(reports)) for path in reports.rglob("*") if path.is_file())
    assert names == sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file())
    for name in names:
        assert (reports / name).read_bytes() == (tmp_path / name).read_bytes(), name


def test_page_stands_alone_and_is_small(page):
    assert len(page.encode()) < 1_000_000
    assert_only_its_own_script(page)
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', page)
    assert "url(http" not in page
    assert "@import" not in page


def test_page_is_well_formed_and_says_what_its_pictures_show(page):
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    assert [tag for tag, _ in reader.tags if tag in ("header", "nav", "main", "footer", "h1")] == [
        "header",
        "h1",
        "nav",
        "main",
        "footer",
    ]
    assert all(attrs.get("alt") for tag, attrs in reader.tags if tag == "img")
    figures = [attrs for tag, attrs in reader.tags if tag == "svg"]
    assert len(figures) == 5
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in figures)


def test_links_reach_their_sections(page):
    reader = Reader()
    reader.feed(page)
    targets = [attrs["href"][1:] for tag, attrs in reader.tags if tag == "a"]
    assert targets
    assert set(targets) <= set(reader.ids)


def test_dataset_text_is_escaped(page):
    assert "what is the &lt;b&gt;" in page
    assert "what is the <b>" not in page


def test_every_dataset_and_method_has_its_place(page):
    assert page.count("<blockquote>") == 28
    assert " 26 datasets " in page  # what averages are over
    for method in METHODS.values():
        assert method.title in page
        assert method.colour in page


def test_what_is_in_no_average_is_listed_apart(reports, page):
    apart = page.partition(">in no average</th>")[2].partition("</tbody>")[0]
    assert "easy-VQA" in apart
    assert "A-OKVQA, direct answer<" in apart
    assert "| A-OKVQA, direct answer (in no average) | " in (reports / "main.md").read_text()


def test_tables_and_figures_beside_the_markdown(reports):
    text = (reports / "main.md").read_text()
    links = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert len(links) == 6
    assert all((reports / link).is_file() for link in links)
    averages = pd.read_csv(reports / "tables" / "averages.csv")
    assert len(averages) == 5 * 5 * 2
    rows = averages.query("group == 'held-out (Figure 4)' and not blind")
    assert all(f"{value:.1f}" in text for value in rows["value"])
    assert "52.9" in text  # the paper's


def test_nocaps_stands_by_domain_on_the_page_in_the_markdown_and_as_a_file(reports, page):
    domains = pd.read_csv(reports / "tables" / "domains.csv")
    assert len(domains) == 5 * 2 * 4
    assert domains["n"].tolist() == [7, 7, 6, 20] * 10
    text = (reports / "main.md").read_text()
    assert "| method | in (n = 7) | near (n = 7) | out (n = 6) | overall (n = 20) |" in text
    assert page.count("NoCaps by domain") == 2  # the heading and the region's name
    table = page[page.index("table of NoCaps by domain") :].split("</table>")[0]
    for value in domains["value"]:
        assert f"{value:.1f}" in text
        assert f"{value:.1f}" in table


def test_unfavourable_results_are_told_as_they_fall(outputs, tmp_path):
    """BLIP-2's answers under the name of `instruct`, and the other way round."""
    swapped = shutil.copytree(outputs, tmp_path / "outputs")
    for one, other in (("instruct", "kept"), ("blip2", "instruct"), ("kept", "blip2")):
        (swapped / "evaluate" / one).rename(swapped / "evaluate" / other)
    page = build(swapped, tmp_path / "reports", open_image, suite()).read_text()
    assert "points below BLIP-2 zero-shot" in page
    assert '<span class="unmet">not met</span>: held-out average above BLIP-2 zero-shot' in page


def test_two_rows_without_blind_scores_and_domains_still_make_a_report(tmp_path):
    outputs = write_outputs(tmp_path / "outputs", 4, ("blip2", "instruct"))
    for row in ("blip2", "instruct"):
        folder = outputs / "evaluate" / row
        frame = pd.read_parquet(folder / "predictions.parquet")
        frame[~frame["blind"]].assign(domain="").to_parquet(folder / "predictions.parquet")
        lines = [json.loads(line) for line in (folder / "scores.jsonl").read_text().splitlines()]
        (folder / "scores.jsonl").write_text("".join(json.dumps(x) + "\n" for x in lines if not x["blind"]))
    shutil.rmtree(outputs / "tune")
    page = build(outputs, tmp_path / "reports", open_image, suite()).read_text()
    assert "No recipe was tuned" in page
    assert "by domain" not in page
    assert not (Path(tmp_path) / "reports" / "figures" / "curves.svg").exists()


def test_the_stage_report_runs_without_torch_and_mlflow():
    script = (
        "import sys, workbench.stages.report; print({'torch', 'mlflow', 'transformers'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=code.PACKAGE.parent
    )
    assert done.stdout.strip() == "set()"


def test_a_suite_of_some_datasets_alone_is_refused_in_a_sentence(tmp_path):
    write_json(tmp_path / "data/prepared/manifest.json", {"datasets": {"gqa": {"val": 2, "test": 2}}})
    with pytest.raises(ReportError, match=r"is held in but .* look at what there is with"):
        stage.whole(Config(), tmp_path, tmp_path / "reports")


def test_the_figure_of_scenes_shows_what_is_asked_and_what_is_right(reports):
    drawn = (reports / "figures/scenes.svg").read_text()
    assert len(re.findall(r"<image ", drawn)) == len(SHOWN)
    said = [html.unescape(text) for text in re.findall(r"<text[^>]*>([^<]*)</text>", drawn)]
    assert {"COCO Caption", "VSR", "MSVD-QA"} <= set(said)
    assert [text for text in said if text.startswith("→ ")]
    assert not [text for text in said if " ×" in text], "how many people said so is left to the gallery"
    assert "![What some datasets ask" in (reports / "main.md").read_text()
