import json
import re
import shutil

import pandas as pd
import pytest
from matplotlib.figure import Figure
from report_outputs import START, open_image, suite, write_outputs
from study_outputs import CLAIMS, write_study
from test_report_page import Reader, assert_only_its_own_script

from workbench.data.catalog import SCORED
from workbench.report import front
from workbench.report.render import build
from workbench.report.study.collected import ReportError, read_study
from workbench.report.study.figures import looks
from workbench.report.study.own import TAKEN, Own
from workbench.report.study.page import build_study

DATASETS = SCORED


@pytest.fixture(scope="module")
def reports(toy, tmp_path_factory):
    folder = tmp_path_factory.mktemp("reports")
    build_study(toy, folder, DATASETS, open_image)
    return folder


@pytest.fixture(scope="module")
def page(reports):
    return (reports / "studies/toy.html").read_text()


@pytest.fixture(scope="module")
def two_rows(tmp_path_factory):
    """A pipeline's outputs of two rows, for a front page of which they are not what is looked at."""
    return write_outputs(tmp_path_factory.mktemp("rows") / "outputs", 4, ("blip2", "instruct"))


def test_a_study_without_held_in_sets_has_no_picture_of_both_averages(tmp_path):
    folder = write_study(tmp_path / "outputs", seeds=(101, 102))
    cells = json.loads((folder / "cells.json").read_text())
    cells["claims"] = [claim for claim in cells["claims"] if claim["measure"] != "held_in"]
    del cells["measures"]["held_in"]
    (folder / "cells.json").write_text(json.dumps(cells))
    page = build_study(folder, tmp_path / "reports", DATASETS, open_image)
    assert not (page.parent / "toy_averages.svg").exists()
    assert "_averages.svg" not in (page.parent / "toy.md").read_text()
    assert "held-out, all" in page.read_text()


@pytest.fixture(scope="module")
def own(toy, tmp_path_factory):
    """The page of a study that draws more, run with uncommitted changes."""
    place = tmp_path_factory.mktemp("own")
    folder = shutil.copytree(toy, place / "studies/toy")
    raw = json.loads((folder / "cells.json").read_text())
    raw["revision"] |= {"dirty": "9" * 16, "dvc.exp_name": "odd-name"}
    (folder / "cells.json").write_text(json.dumps(raw))
    drawn = Figure()
    drawn.subplots().plot([1, 2])
    short = pd.DataFrame({"arm": ["<b>full</b>", "drop"], "right_answers": [0.25, float("nan")], "n": [3, 4]})
    own = Own({"gaze": drawn}, {"short": short, "long": pd.DataFrame({"n": range(99)})}, {"gaze": "Where."})
    return build_study(folder, place / "reports", DATASETS, open_image, own)


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory):
    """The page of a study that lacks cells and cannot draw yet."""
    place = tmp_path_factory.mktemp("unfinished")
    gone = ("twin@101", "twin@102", "twin@103", "drop@102")
    study = write_study(place / "outputs", missing=gone, examples=6)
    note = Own(note="run `workbench explore toy`")
    return build_study(study, place / "reports", DATASETS, open_image, note)


def test_what_a_study_draws_itself_is_on_its_page(own):
    page, text = own.read_text(), own.with_suffix(".md").read_text()
    assert "<figcaption>Where.</figcaption>" in page
    assert "![Where.](toy_gaze.svg)" in text
    assert '<td class="text">&lt;b&gt;full&lt;/b&gt;</td><td>0.250</td><td>3</td>' in page
    assert "<td>–</td><td>4</td>" in page
    assert "| drop | – | 4 | " in text
    assert '<th scope="col">right answers</th>' in page
    assert page.count("<td>98</td>") == 0, "a long table is a file alone"
    assert (own.parent / "toy_long.csv").read_text().splitlines()[-1] == "98"
    assert (own.parent / "toy_gaze.svg").exists()


def test_a_study_that_cannot_draw_yet_says_why(unfinished):
    assert "Not drawn yet</span>: run `workbench explore toy`" in unfinished.read_text()
    assert "Not drawn yet: run" in unfinished.with_suffix(".md").read_text()


def test_two_builds_are_byte_equal(toy, reports, tmp_path):
    build_study(toy, tmp_path, DATASETS, open_image)
    names = sorted(path.name for path in (reports / "studies").iterdir())
    assert names == [
        "toy.html", "toy.json", "toy.md", "toy_arms.csv", "toy_attention.csv", "toy_attention.svg",
        "toy_averages.svg", "toy_card_drop.md", "toy_card_full.md", "toy_card_twin.md", "toy_claims.svg",
        "toy_cost.csv", "toy_curves.svg", "toy_datasets.svg", "toy_effects.csv", "toy_flips.csv",
        "toy_runs.csv",
    ]  # fmt: skip
    assert {name.removeprefix("toy_") for name in names if name.endswith(("svg", "csv"))} == set(TAKEN)
    for name in names:
        assert (reports / "studies" / name).read_bytes() == (tmp_path / "studies" / name).read_bytes(), name


def test_the_page_stands_alone_is_well_formed_and_its_links_lead_somewhere(page, reports):
    reader = Reader()
    reader.feed(page)
    assert reader.open == []
    assert len(reader.ids) == len(set(reader.ids))
    assert_only_its_own_script(page)
    assert "url(http" not in page
    links = {attrs["href"] for tag, attrs in reader.tags if tag == "a"}
    assert {link[1:] for link in links if link.startswith("#")} <= set(reader.ids)
    files = {link for link in links if not link.startswith("#")} - {"../index.html"}
    assert {"toy_effects.csv", "toy_arms.csv", "toy_cost.csv", "toy_runs.csv", "toy.md"} < files
    assert all((reports / "studies" / link).is_file() for link in files)
    drawn = [attrs for tag, attrs in reader.tags if tag == "svg"]
    assert len(drawn) == 5
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in drawn)


def test_text_of_datasets_and_of_study_py_is_escaped(page, reports):
    assert "what is the &lt;b&gt;" in page
    assert "what is the <b>" not in page
    for text in ("<held-out>", "<again>", "<b>FlanT5"):
        assert text not in page
    markdown = "".join(path.read_text() for path in sorted((reports / "studies").glob("*.md")))
    assert "<script" not in markdown
    assert r"the same &lt;again&gt; \| twice" in markdown


def test_every_claim_stands_with_its_verdict_and_the_papers_effect(page):
    table = page[page.index('aria-label="table of claims"') :].split("</table>")[0]
    assert table.count("<tr>") == 1 + len(CLAIMS)
    assert "<strong>supported</strong>" in table
    assert "+5.4" in table
    assert "Supported: above zero" in page


def test_every_number_leads_to_its_runs(page, toy):
    cells = json.loads((toy / "cells.json").read_text())["cells"]
    runs = page[page.index('id="runs"') :]
    for cell in cells:
        line = runs[runs.index(f'id="run-{cell["arm"]}-{cell["seed"]}"') :].split("</tr>")[0]
        for mark in (cell["tune"], cell["evaluate"], *cell["mlflow"].values(), cell["data"], cell["code"]):
            assert mark in line
    assert "a" * 40 in runs


def test_the_table_of_effects_is_that_of_the_page(page, reports):
    table = pd.read_csv(reports / "studies/toy_effects.csv")
    assert len(table) == len(CLAIMS) + 2 * len(DATASETS)
    assert f"{table.loc[0, 'effect']:+.1f}" in page


def test_every_table_of_the_page_is_a_file_and_in_the_markdown(reports):
    folder = reports / "studies"
    markdown = (folder / "toy.md").read_text()
    costs, runs, arms = (pd.read_csv(folder / f"toy_{name}.csv") for name in ("cost", "runs", "arms"))
    # 180 s of training and 14 s of examination at 10 W
    assert costs["watt_hours"].tolist() == pytest.approx([194 * 10 / 3600] * 3, abs=1e-5)
    assert "| 0.54 Wh |" in markdown
    assert len(runs) == 9
    assert all(f"| {signature} |" in markdown for signature in runs["examination"])
    held_out = arms.query("arm == 'full' and measure == 'held_out'")["value"].item()
    assert f"{held_out:.1f} [" in markdown
    assert markdown.count("\n| COCO Caption | 12 |") == 1


def test_attention_follows_the_instruction_where_the_arm_reads_it(page, reports):
    moves = pd.read_csv(reports / "studies/toy_attention.csv").set_index("arm")["mean"]
    # .32 of the attention goes from one patch to another
    assert moves.to_dict() == pytest.approx({"full": 32.0, "drop": 0.0, "twin": 32.0})
    assert "which &lt;b&gt;colour&lt;/b&gt;?" in page


def test_a_model_card_says_what_went_in_what_came_out_and_what_it_is_not_for(reports, page):
    full, drop = ((reports / f"studies/toy_card_{arm}.md").read_text() for arm in ("full", "drop"))
    assert "| VQAv2 | 900 | 90.0 % |" in full
    assert "`model.instruction_aware: False`" in drop
    assert "train.seed" not in full
    assert "held-out, all: " in full
    assert "safety and fairness" in full
    assert re.search(r"adds less than 2 points on GQA \(\S+ with, \S+ without\), HatefulMemes", full)
    assert "looks at the same places whatever is asked" in drop
    assert "looks at the same places" not in full
    assert page.count('<details id="card-') == 3


def test_no_page_says_that_its_claims_were_declared_before_anything_ran(page, reports):
    """For some studies that is not so; nothing in cells.json tells which."""
    for text in (page, (reports / "studies/toy.md").read_text()):
        said = " ".join(text.split())
        assert "before anything ran" not in said
        assert "had been looked at by then, stands in experiments/toy/README.md" in said


def test_uncommitted_changes_are_confessed(own):
    page = own.read_text()
    assert "uncommitted changes" in " ".join(page.split())
    assert "dvc.exp_name <code>odd-name</code>" in page


def test_missing_cells_are_named(unfinished):
    page = unfinished.read_text()
    assert "4 of 9 cells are" in page
    assert "twin@101, drop@102, twin@102, twin@103" in page
    assert "Not decided: no seed has both arms." in page
    assert '<tbody id="runs-twin">' in page
    found = front.read(unfinished.parent, "toy")
    assert (found.finished, found.missing, found.lines[1].found) == (5, 4, None)


def test_arms_keep_one_colour_each(toy):
    seen = looks(read_study(toy))
    assert len({(look.colour, look.marker) for look in seen.values()}) == 3
    assert list(seen) == ["full", "drop", "twin"]


def test_the_front_lists_primary_claims_and_what_was_not_run(two_rows, reports, tmp_path):
    shutil.copytree(reports / "studies", tmp_path / "studies")
    studies = ["other", "toy"]
    page = build(two_rows, tmp_path, open_image, suite(), studies).read_text()
    claims = page[page.index('<section id="claims"') :].split("</section>")[0]
    assert "not run yet; <code>workbench ablate other</code>" in claims
    assert '<a href="studies/toy.html">toy</a>' in claims
    assert "text helps &lt;held-out&gt;" in claims
    assert page.index("text helps") < page.index("Training seed"), "claims come before the one run"
    row = next(line for line in claims.split("<tr>") if "text helps" in line)
    words = " ".join(re.sub(r"<[^>]*>", " ", row).split())
    assert re.search(r"supported \+5\.4 same below our interval", words)
    assert "the wrong way round" not in claims, "it is secondary"
    markdown = (tmp_path / "main.md").read_text()
    links = re.findall(r"\]\((studies/[^)]+)\)", markdown)
    assert links
    assert all((tmp_path / link).is_file() for link in links)


def test_the_front_says_where_studies_began_once_they_began_differently(two_rows, reports, tmp_path):
    def built(starts):
        folder = shutil.copytree(reports / "studies", tmp_path / "studies", dirs_exist_ok=True)
        raw = json.loads((folder / "toy.json").read_text())
        for ending in ("json", "html"):
            (folder / f"other.{ending}").write_text(json.dumps(raw | {"study": "other", "starts": starts}))
        page = build(two_rows, tmp_path, open_image, suite(), ["other", "toy"]).read_text()
        return page, (tmp_path / "main.md").read_text()

    assert front.read(reports / "studies", "toy").starts == {"t5": [START]}
    alike = built({"t5": [START], "llama": ["6" * 16]})
    assert all("Not all of this began" not in text for text in alike)
    page, markdown = built({"t5": ["7" * 16], "llama": ["6" * 16]})
    assert "Not all of this began with the same BLIP-2 (t5)" in page
    assert "t5 from <code>77777777</code></span>" in page
    assert "t5 from <code>55555555</code></span>" in page
    assert "66666666" not in page, "all that began with a llama began with the same"
    assert "(t5 from `77777777`)" in markdown
    page, markdown = built({"llama": ["6" * 16, "7" * 16]})
    assert "same BLIP-2 (llama)" in page
    assert "llama from <code>66666666</code>, <code>77777777</code></span>" in page
    assert '<span class="meta"></span>' not in page, "the other study has no llama"
    assert "()" not in markdown


def test_the_front_is_the_same_twice_when_no_study_was_run(two_rows, tmp_path):
    for name in ("one", "two"):
        build(two_rows, tmp_path / name, open_image, suite(), ["toy"])
    first, second = ((tmp_path / name / "index.html").read_text() for name in ("one", "two"))
    assert first == second
    assert "No study has been run yet: <code>workbench ablate toy</code>" in first
    assert not re.findall(r'href="(?!#)[^"]*"', first)


def test_the_front_says_how_far_to_trust_the_statistics(two_rows, tmp_path):
    folder = tmp_path / "calibration"
    folder.mkdir()
    lines = ["studies,gain,covered,above,below", "400,0,0.95,0.01,0.02"]
    lines += ["400,0.1,0.97,0.3,0", "400,0,0.96,0.03,0.01"]
    (folder / "calibration.csv").write_text("\n".join(lines))
    (folder / "same_arm.csv").write_text("measure,seeds,p\nheld_in,3,0.01\ngqa,3,0.2\nvsr,3,0.04\n")
    (folder / "calibration.svg").write_text("<svg></svg>")
    page = " ".join(build(two_rows, tmp_path, open_image, suite()).read_text().split())
    assert "found in 3.0 to 4.0 % of cases" in page
    assert "covered 95.0 to 97.0 % of the true effects" in page
    assert "differed with p &lt; .05 on 1 of 2 datasets" in page
    (folder / "same_arm.csv").unlink()
    with pytest.raises(ReportError, match="run benchmarks/calibration"):
        build(two_rows, tmp_path, open_image, suite())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda raw: raw.pop("lines"), "is no summary of a study"),
        (lambda raw: raw["lines"][0].pop("word"), "is no summary of a study"),
        (lambda raw: raw.update(study="other"), "study is 'other', not 'toy'"),
    ],
)
def test_a_summary_that_is_none_is_refused(reports, tmp_path, change, message):
    folder = shutil.copytree(reports / "studies", tmp_path / "studies")
    raw = json.loads((folder / "toy.json").read_text())
    change(raw)
    (folder / "toy.json").write_text(json.dumps(raw))
    with pytest.raises(ReportError, match=f"{message}.*workbench ablate toy"):
        front.read(folder, "toy")


def test_a_summary_without_its_page_is_refused(reports, tmp_path):
    folder = shutil.copytree(reports / "studies", tmp_path / "studies")
    (folder / "toy.html").unlink()
    with pytest.raises(ReportError, match=r"toy\.html is missing"):
        front.read(folder, "toy")
