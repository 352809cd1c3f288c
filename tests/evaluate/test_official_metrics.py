"""Official metrics: against the official programs' own output (tests/golden), scikit-learn, and by head.

tests/golden/vqa.json, cider.json and ptb.json hold what GT-Vision-Lab/VQA (a013f00), LAVIS (506965b), mmf's
m4c_evaluator (LLaVA's copy), allenai/aokvqa (83786de) and pycocoevalcap 1.2 with CoreNLP 3.4.1 returned for
made-up answers and captions; visdial.json, scienceqa.json and ivqa.json what the metrics of
visdial-challenge-starter-pytorch (5844f3d), ScienceQA's evaluate_acc (2cbf831) and just-ask (b58f08e) did;
vizwiz.json what VizWiz' vqaEval.py (the copy in AttentionX/InstructBLIP_PEFT, 0a75fc6) and gqa.json what
GQA's eval.py (the copy in SHI-Labs/VCoder, 2f95684) did.
"""

import json
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import ndcg_score, roc_auc_score

from workbench.data.catalog import CATALOG, entry, for_suite
from workbench.data.tokens import TARGET_TOKENS
from workbench.evaluate import metrics
from workbench.evaluate.metrics.beside import BESIDE
from workbench.evaluate.metrics.ranking import rank_of
from workbench.records import Example, Prediction

GOLDEN = Path(__file__).parents[1] / "golden"
NEAR = 1e-9
# of 88 constructed captions, where Java's words are others than ours, and why
OTHERWISE = {
    "rock 'n' roll, rock'n'roll": "the second 'n' inside a word",
    ":) :-) ;)": "smileys are one word",
    "emoji": "a hyphen that does not break is part of its word",
    "(555) 123-4567": "a telephone number's brackets are part of it",
    "one's ones'": "couldn'tve",
    "hello,world": ":d is a smiley",
    "100,000,000": "version numbers",
    "£3.50": "US$",
    "C# C++": "programming languages",
    "L'Oreal": "ol'",
}
# answers to GQA that exact_match, which is LAVIS' rule, takes and GQA's own does not: it wants every letter
NORMALISED_ONLY = {
    "Yes": "capital", "Right": "capital", "Dog": "capital", "dvd player": "capital", "the Cat.": "all three",
    "yes.": "full stop", "dog!": "mark", "t shirt": "hyphen", "dont walk": "apostrophe",
    "yes ": "blank", "no\n": "line break", " cat": "blank", "living  room": "blank",
    "the left": "article", "the boy": "article", "a dog": "article", "two": "number", "none": "number",
}  # fmt: skip


def golden(name):
    return json.loads((GOLDEN / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", golden("vqa.json"), ids=lambda case: case["answer"])
def test_agreement_is_what_the_official_programs_return(case):
    answer, people = case["answer"], case["references"]
    assert metrics.vqa_accuracy_official(answer, people) == pytest.approx(case["official"], abs=NEAR)
    assert metrics.vqa_accuracy_lavis(answer, people) == pytest.approx(case["lavis"], abs=NEAR)
    assert metrics.vqa_accuracy_evalai(answer, people) == pytest.approx(case["evalai"], abs=NEAR)
    assert metrics.direct_answer(answer, people) == pytest.approx(case["direct_answer"], abs=NEAR)


def test_what_all_annotators_wrote_alike_is_compared_as_it_stands():
    assert metrics.vqa_accuracy_official("Yes.", ["yes"] * 10) == 0
    assert metrics.vqa_accuracy("Yes.", ["yes"] * 10) == 100
    assert metrics.vqa_accuracy_official("Yes.", ["yes"] * 9 + ["no"]) == 100


def test_lavis_makes_digits_of_the_answer_only():
    people = ["two"] * 9 + ["three"]
    assert metrics.vqa_accuracy_lavis("two", people) == 0  # "2" against "two"
    assert metrics.vqa_accuracy_official("two", people) == 100
    assert metrics.vqa_accuracy_lavis("2", ["2."] * 9 + ["3"]) == 100  # the full stop goes on both sides


def test_vizwiz_normalises_the_answer_and_never_the_annotators():
    assert metrics.vqa_accuracy_vizwiz("Yes.", ["yes"] * 10) == 100
    assert metrics.vqa_accuracy_vizwiz("Unanswerable", ["unanswerable"] * 10) == 100
    assert metrics.vqa_accuracy_vizwiz("two", ["two"] * 9 + ["3"]) == 0  # "2" against "two"
    assert metrics.vqa_accuracy_vizwiz("t-shirt", ["t-shirt"] * 9 + ["shirt"]) == 0
    assert metrics.vqa_accuracy_vizwiz("red", ["red"] * 2 + ["blue"] * 8) == pytest.approx(60)


@pytest.mark.parametrize("case", golden("vizwiz.json"), ids=lambda case: case["answer"])
def test_agreement_on_vizwiz_is_what_its_own_program_returns(case):
    found = metrics.vqa_accuracy_vizwiz(case["answer"], case["references"])
    assert found == pytest.approx(case["official"], abs=NEAR)


def test_the_two_normalisers_part_at_commas_and_apostrophes():
    assert metrics.normalise("1,000 t-shirts") == "1000 tshirts"
    assert metrics.normalise_evalai("1,000 t-shirts") == "1000 t shirts"
    assert metrics.normalise("What?s") == "what s"
    assert metrics.normalise_evalai("What?s") == "what's"  # "whats", whose apostrophe is put back
    assert metrics.normalise("the man's hat") == "man's hat"
    assert metrics.normalise_evalai("the man's hat") == "man 's hat"


def test_evalai_insists_on_ten():
    with pytest.raises(ValueError, match="ten references, not 9"):
        metrics.vqa_accuracy_evalai("a", ["a"] * 9)


def test_direct_answers_leave_out_the_difficult_questions():
    people = [["dog"] * 2 + ["cat"] * 8, ["sun"] * 10]
    # two of ten agree: 2/3; the second question is wrong, and marked
    found = metrics.direct_answer_accuracy(["dog", "moon"], people, [False, True])
    assert found == pytest.approx(100 * 2 / 3)
    assert metrics.direct_answer_accuracy(["dog", "moon"], people, [False, False]) == pytest.approx(100 / 3)
    assert metrics.direct_answer("Dog", people[0]) == 0
    with pytest.raises(ValueError, match="every question is marked"):
        metrics.direct_answer_accuracy(["dog"], people[:1], [True])


def test_exact_strings_are_not_normalised():
    assert metrics.exact_string("cat", ["cat"]) == 100
    assert metrics.exact_string("The cat", ["the cat"]) == 0
    assert metrics.exact_match("The cat", ["the cat"]) == 100


@pytest.mark.parametrize("case", golden("gqa.json")["questions"], ids=lambda case: case["answer"])
def test_exact_strings_are_right_where_gqas_own_program_says_so(case):
    official = 100 * case["official"]
    assert metrics.exact_string(case["answer"], case["references"]) == official
    found = metrics.exact_match(case["answer"], case["references"])
    assert (found, official) == ((100, 0) if case["answer"] in NORMALISED_ONLY else (official, official))


def test_the_means_over_gqa_are_what_its_own_program_prints():
    kept = golden("gqa.json")
    shares = {"accuracy": [], "binary": [], "open": []}
    for case in kept["questions"]:
        right = metrics.exact_string(case["answer"], case["references"])
        shares["accuracy"].append(right)
        shares["open" if case["structural"] == "query" else "binary"].append(right)
    for name, values in shares.items():
        assert np.mean(values) == pytest.approx(kept[name], abs=NEAR), name


def test_cider_is_what_pycocoevalcap_returns():
    kept = golden("cider.json")
    found = metrics.cider(kept["captions"], kept["references"])
    assert np.abs(np.array(found) / 100 - kept["cider"]).max() < NEAR
    assert np.mean(found) / 100 == pytest.approx(kept["mean"], abs=NEAR)


@pytest.mark.parametrize(("caption", "words"), golden("ptb.json"))
def test_words_are_those_of_the_java_tokeniser(caption, words):
    different = any(caption.startswith(beginning) for beginning in OTHERWISE)
    assert (metrics.caption_tokens(caption) != words.split()) is different


def test_brackets_and_runs_of_marks_stay_in_a_caption():
    words = metrics.caption_tokens("A man (in red) shouts: stop!! He isn't [sure]...")
    assert words == "a man -lrb- in red -rrb- shouts stop !! he is n't -lsb- sure -rsb-".split()


def test_auc_is_scikit_learns_with_ties():
    rng = np.random.default_rng(0)
    margins, labels = rng.integers(-3, 4, 200).astype(float), rng.random(200) < 0.4
    assert metrics.auc(margins, labels) == pytest.approx(100 * roc_auc_score(labels, margins), abs=NEAR)


def test_ndcg_is_scikit_learns_up_to_the_number_of_relevant_candidates():
    rng = np.random.default_rng(1)
    for _ in range(20):
        relevance = rng.choice([0, 0, 0, 0.2, 0.4, 1.0], 100)
        scores = rng.permutation(100).astype(float)  # no ties: there scikit-learn averages
        wanted = 100 * ndcg_score([relevance], [scores], k=int((relevance > 0).sum()))
        assert metrics.ndcg(scores, relevance) == pytest.approx(wanted, abs=NEAR)


def test_ndcg_by_head():
    # two relevant, so two ranks count: a 0.5 first and a 0 second, of at best 1 and 0.5 / log2(3)
    found = metrics.ndcg([3, 2, 1], [0.5, 0, 1])
    assert found == pytest.approx(100 * 0.5 / (1 + 0.5 / np.log2(3)))
    assert metrics.ndcg([1, 1], [0, 1]) == 0  # a tie helps nobody
    with pytest.raises(ValueError, match="one relevant"):
        metrics.ndcg([1, 2], [0, 0])
    with pytest.raises(ValueError, match="each of 2 scores, not 3"):
        metrics.ndcg([1, 2], [0, 0, 1])


def test_dialogues_score_what_the_challenges_own_metrics_return():
    case = golden("visdial.json")
    options = [str(number) for number in range(20)]

    def said(right, scores):
        example = Example("visdial", "0", "0", ("a.png",), (str(right),), candidates=tuple(options))
        return Prediction(example, "", "", tuple(scores))

    rounds = [
        said(right, scores)
        for image, rights in zip(case["scores"], case["right"], strict=True)
        for scores, right in zip(image, rights, strict=True)
    ]
    for ours, theirs, unit in (
        ("recall@1", "r@1", 100), ("recall@5", "r@5", 100), ("recall@10", "r@10", 100),
        ("mean_rank", "mean", 1), ("mrr", "mrr", 100),
    ):  # fmt: skip
        found, wanted = metrics.score(ours, rounds).value, case["official"][theirs] * unit
        assert found == pytest.approx(wanted, rel=1e-6), ours  # theirs is in single precision
    for image, relevance, wanted in zip(case["scores"], case["relevance"], case["ndcg"], strict=True):
        found = np.mean([metrics.ndcg(scores, relevance) for scores in image[:2]])
        assert found == pytest.approx(100 * wanted, rel=1e-6)


@pytest.mark.parametrize("case", golden("ivqa.json"), ids=lambda case: "".join(case["references"]))
def test_two_of_five_make_an_answer_to_ivqa_right(case):
    found = metrics.ivqa_accuracy(case["answer"], case["references"])
    assert found == pytest.approx(100 * case["official"], abs=NEAR)


def test_scienceqa_scores_what_its_own_program_prints():
    """Of 4,241 problems, the number that it insists on, made by rule."""
    subjects = ("natural science", "social science", "language science")
    problems = [
        {"subject": subjects[i % 3], "hint": "h" if i % 4 else "", "image": "image.png" if i % 5 < 2 else "",
         "grade": f"grade{i % 12 + 1}"}
        for i in range(4241)
    ]  # fmt: skip
    shares = [100.0 * ((i * i + i // 7) % 5 < 3) for i in range(4241)]
    groups = {
        "natural": "natural", "social": "social", "language": "language", "text context": "has_text",
        "image context": "has_image", "no context": "no_context", "grades 1-6": "grade_1_6",
        "grades 7-12": "grade_7_12", "average": "average",
    }  # fmt: skip
    found, official = metrics.scienceqa_accuracy(shares, problems), golden("scienceqa.json")
    assert {name: f"{value:.2f}" for name, value in found.items()} == {
        name: official[f"acc_{theirs}"] for name, theirs in groups.items()
    }


def test_dialogue_ranks():
    names = list("abcd")
    example = Example("visdial", "0", "0", ("a.png",), ("b",), candidates=tuple(names))
    said = [Prediction(example, "", "", scores) for scores in ((4.0, 3.0, 2.0, 1.0), (1.0, 3.0, 2.0, 0.0))]
    assert [rank_of("b", names, one.candidate_scores) for one in said] == [2, 1]
    values = {name: metrics.score(name, said).value for name in ("mean_rank", "mrr", "recall@1", "recall@5")}
    assert values == {"mean_rank": 1.5, "mrr": 75, "recall@1": 50, "recall@5": 100}


def test_scienceqa_by_subject_context_and_grade():
    def problem(subject, hint, image, grade):
        return {"subject": subject, "hint": hint, "image": image, "grade": grade}

    problems = [
        problem("natural science", "a hint", "image.png", "grade6"),
        problem("natural science", "", "", "grade7"),
        problem("social science", "", "image.png", "grade12"),
    ]
    assert metrics.scienceqa_accuracy([100, 0, 0], problems) == {
        "natural": 50, "social": 0, "text context": 100, "image context": 50, "no context": 0,
        "grades 1-6": 100, "grades 7-12": 0, "average": pytest.approx(100 / 3),
    }  # fmt: skip
    with pytest.raises(ValueError, match="no field 'subject'"):
        metrics.scienceqa_accuracy([100], [{"hint": ""}])


def test_only_the_official_suite_is_scored_with_the_quirks():
    official = {e.name: for_suite(e.name, "official").metric for e in CATALOG}
    assert {name: metric for name, metric in official.items() if metric != entry(name).metric} == {
        "vqav2": "vqa_accuracy_official",
        "okvqa": "vqa_accuracy_lavis",
        "vizwiz": "vqa_accuracy_vizwiz",
        "textvqa": "vqa_accuracy_evalai",
    }
    people = tuple(["two"] * 9 + ["three"])
    said = [Prediction(Example("okvqa", "0", "0", ("a.png",), people), "Question:", "two")]
    assert metrics.score(for_suite("okvqa", "micro").metric, said).value == 100
    assert metrics.score(for_suite("okvqa", "official").metric, said).value == 0


def test_only_the_official_suite_leaves_room_for_peoples_answers():
    assert all(for_suite(e.name, "micro") is e for e in CATALOG)
    room = {e.name: for_suite(e.name, "official").max_new_tokens for e in CATALOG}
    assert {room[f"llava_{kind}"] for kind in ("conversation", "detail", "reasoning")} == {TARGET_TOKENS}
    assert (room["ocrvqa"], room["vqav2"], room["coco_caption"]) == (32, 10, 80)
    assert all(room[e.name] >= e.max_new_tokens for e in CATALOG)


def test_official_captions_are_made_as_lavis_makes_them():
    for e in CATALOG:
        row = for_suite(e.name, "official")
        made = (row.max_new_tokens, row.min_new_tokens, row.length_penalty, row.repetition_penalty)
        assert (made == (80, 10, 1.0, 1.15)) == (e.task == "caption"), e.name


def test_letter_by_letter_is_told_beside_scores_that_normalise():
    people = (
        ("the dog", "dog", "dog", "cat", "x"),
        ("a dog", "a dog", "dog", "dog", "dog"),
        ("two", "2", "2", "x", "y"),
    )
    examples = [Example("ivqa", "0", "0", ("x.png",), five) for five in people]
    answers = zip(examples, ("the dog", "dog", "two"), strict=True)
    said = [Prediction(example, "", text) for example, text in answers]
    names = ("ivqa", "gqa", "msvd_qa")
    found = {name: list(BESIDE[name](said)["letter by letter"].values()) for name in names}
    assert found == {"ivqa": [50.0, 100.0, 50.0], "gqa": [100.0] * 3, "msvd_qa": [100.0] * 3}
    assert [metrics.ivqa_accuracy(one.text, one.example.references) for one in said] == [100.0, 100.0, 100.0]
    (shares,) = BESIDE["gqa"]([Prediction(examples[0], "", "The dog.")]).values()
    assert shares == {0: 0.0}
    assert metrics.exact_match("The dog.", examples[0].references) == 100.0
