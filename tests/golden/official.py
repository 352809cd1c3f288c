"""Asks the official metric programs again: `python tests/golden/official.py PROGRAMS`, from anywhere.

Takes the answers of vqa, vizwiz, gqa, ivqa, visdial, scienceqa, cider and ptb.json and writes what the
programs return for them: `git diff tests/golden` is empty if that is what they returned before. A file one
of whose programs is not there is left as it is and named. Nothing of the programs is copied: they are
loaded from these folders of PROGRAMS, of which the files in brackets are enough.

  VQA                GT-Vision-Lab/VQA a013f00 (PythonEvaluationTools), which is in Python 2
  LAVIS              salesforce/LAVIS 506965b (lavis/common/vqa_tools)
  LLaVA              haotian-liu/LLaVA c121f04 (llava/eval/m4c_evaluator.py, mmf's)
  aokvqa             allenai/aokvqa 83786de (evaluation, load_aokvqa.py)
  InstructBLIP_PEFT  AttentionX/InstructBLIP_PEFT 0a75fc6 (lavis/common/vqa_tools, VizWiz')
  VCoder             SHI-Labs/VCoder 2f95684 (playground/data/eval/gqa, GQA's)
  visdial            batra-mlp-lab/visdial-challenge-starter-pytorch 5844f3d (visdialch/metrics.py)
  ScienceQA          lupantech/ScienceQA 2cbf831 (tools/evaluate_acc.py)
  just-ask           antoyang/just-ask b58f08e (train/train_videoqa.py, util.py)
  pycocoevalcap      1.2, with CoreNLP 3.4.1, for Java:
                     `pip install --no-deps --target PROGRAMS/pycocoevalcap pycocoevalcap==1.2`

What they read beside answers (kinds of question, a model and its data) has stand-ins here.
"""

import argparse
import contextlib
import io
import json
import re
import runpy
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import torch

HERE = Path(__file__).parent
PRINT_STATEMENT = re.compile(r"^(\s*)print (\".*\")$", re.MULTILINE)


def loaded(path: Path, until: str | None = None, beside: Path | None = None) -> dict:
    """The names that a program defines, up to a line, with a folder that it imports from."""
    text = PRINT_STATEMENT.sub(r"\1print(\2)", path.read_text(encoding="utf-8"))
    if until is not None:
        text, found, _ = text.partition(f"\n{until}")
        if not found:
            raise ValueError(f"{path} has no line that begins with {until!r}")
    names = {"__name__": path.stem}
    with mock.patch.object(sys, "path", [str(beside or path.parent), *sys.path]):
        exec(compile(text, str(path), "exec"), names)
    return names


@contextlib.contextmanager
def files(**contents: object) -> Iterator[dict[str, str]]:
    """JSON files for a program to read."""
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / f"{name}.json" for name in contents}
        for name, path in paths.items():
            path.write_text(json.dumps(contents[name]), encoding="utf-8")
        yield {name: str(path) for name, path in paths.items()}


def lines(cases: list) -> str:
    """One case a line."""
    return "[\n" + ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases) + "\n]"


def people(case: dict) -> list[dict]:
    return [{"answer": text, "answer_id": i} for i, text in enumerate(case["references"], 1)]


def agreement(program: type, cases: list[dict]) -> list[float]:
    """Of GT-Vision-Lab's program, or LAVIS' copy."""
    kinds = {"question_type": "", "answer_type": ""}
    questions = {i: {**kinds, "answers": people(case)} for i, case in enumerate(cases)}
    answers = {i: {"answer": case["answer"]} for i, case in enumerate(cases)}
    asked = SimpleNamespace(qa=questions, getQuesIds=lambda: list(questions))
    evaluation = program(asked, SimpleNamespace(qa=answers))
    evaluation.evaluate()
    return [evaluation.evalQA[i] for i in range(len(cases))]


def vqa(programs: Path, cases: list[dict]) -> str:
    official = loaded(programs / "VQA/PythonEvaluationTools/vqaEvaluation/vqaEval.py")["VQAEval"]
    lavis = loaded(programs / "LAVIS/lavis/common/vqa_tools/vqa_eval.py")["VQAEval"]
    evalai = loaded(programs / "LLaVA/llava/eval/m4c_evaluator.py")["TextVQAAccuracyEvaluator"]()
    aokvqa = programs / "aokvqa"
    direct = loaded(aokvqa / "evaluation/eval_predictions.py", beside=aokvqa)["eval_aokvqa"]
    made = []
    both = zip(agreement(official, cases), agreement(lavis, cases), strict=True)
    for case, (by_official, by_lavis) in zip(cases, both, strict=True):
        answer, references = case["answer"], case["references"]
        asked = {"pred_answer": answer, "gt_answers": references}
        question = {"difficult_direct_answer": False, "choices": [], "direct_answers": references}
        found = {"official": by_official, "lavis": by_lavis, "evalai": 100 * evalai.eval_pred_list([asked])}
        made.append({**case, **found, "direct_answer": direct({"0": question}, {"0": answer})})
    return lines(made) + "\n"


def vizwiz(programs: Path, cases: list[dict]) -> str:
    """Without its caption scores, which begin with the import of pycocoevalcap."""
    path = programs / "InstructBLIP_PEFT/lavis/common/vqa_tools/vqa_eval_vizwiz.py"
    names = loaded(path, until="from pycocoevalcap")
    names["COCOEvalCap"] = lambda *_: SimpleNamespace(evaluate=lambda: None, eval={})
    questions = {i: {"answer_type": "", "answers": people(case)} for i, case in enumerate(cases)}
    answers = {i: {"image": i, "answer": case["answer"]} for i, case in enumerate(cases)}
    asked = SimpleNamespace(imgToQA=questions, getImgs=lambda: list(questions))
    evaluation = names["VQAEval_Vizwiz"](asked, SimpleNamespace(imgToQA=answers))
    evaluation.evaluate()
    return lines([{**case, "official": evaluation.evalQA[i]} for i, case in enumerate(cases)]) + "\n"


def gqa(programs: Path, kept: dict) -> str:
    """Every question is a semantic type of its own, so that the program tells its score."""
    questions = {
        str(i): {
            "isBalanced": True, "question": "", "answer": case["references"][0], "semantic": [],
            "types": {"structural": case["structural"], "semantic": str(i), "detailed": ""},
            "groups": {"global": "all"},
        }
        for i, case in enumerate(kept["questions"])
    }  # fmt: skip
    answers = [{"questionId": i, "prediction": kept["questions"][int(i)]["answer"]} for i in questions]
    with files(questions=questions, predictions=answers) as paths:
        given = {**paths, "scenes": "none.json", "choices": "none.json"}
        arguments = ["eval.py", *(f"--{name}={path}" for name, path in given.items())]
        with mock.patch.object(sys, "argv", arguments):
            program = programs / "VCoder/playground/data/eval/gqa/data/eval/eval.py"
            scores = runpy.run_path(str(program), run_name="__main__")["scores"]
    percents = [scores["accuracyPerSemanticType"][i][0] for i in questions]
    made = [{**case, "official": x / 100} for case, x in zip(kept["questions"], percents, strict=True)]
    means = json.dumps({name: scores[name] for name in ("accuracy", "binary", "open")})
    return '{"questions": ' + lines(made) + ",\n" + means.removeprefix("{") + "\n"


def ivqa(programs: Path, cases: list[dict]) -> str:
    """Asked of a model that ranks the answer first, among the ten letters that the program needs."""
    just_ask = programs / "just-ask"
    evaluate = loaded(just_ask / "train/train_videoqa.py", beside=just_ask)["eval"]
    vocabulary = "abcdefghij"
    nothing = torch.zeros(1, 1)

    def official(case: dict) -> float:
        scores = torch.tensor([[float(letter == case["answer"]) for letter in vocabulary]])
        counts = Counter(case["references"])
        batch = {
            "answer_id": torch.tensor([[float(counts[letter]) for letter in vocabulary]]),
            "answer": "", "video": nothing, "question": nothing, "video_len": torch.ones(1),
        }  # fmt: skip
        model = mock.Mock(return_value=scores)
        return evaluate(model, [batch], None, SimpleNamespace(mc=0, dataset="ivqa"), test=True)

    with mock.patch.object(torch.Tensor, "cuda", lambda tensor: tensor):
        return json.dumps([{**case, "official": official(case)} for case in cases])


def visdial(programs: Path, kept: dict) -> str:
    names = loaded(programs / "visdial/visdialch/metrics.py")
    sparse = names["SparseGTMetrics"]()
    sparse.observe(torch.tensor(kept["scores"]), torch.tensor(kept["right"]))
    ndcg = []
    for image, relevance in zip(kept["scores"], kept["relevance"], strict=True):
        dense = names["NDCG"]()  # it takes no fewer than two dialogues: two rounds of one here
        dense.observe(torch.tensor(image[:2]), torch.tensor([relevance] * 2))
        ndcg.append(dense.retrieve()["ndcg"])
    return json.dumps({**kept, "official": sparse.retrieve(), "ndcg": ndcg})


def scienceqa(programs: Path, kept: dict) -> str:
    """Of 4,241 problems made by the rule in tests/evaluate/test_official_metrics.py."""
    subjects = ("natural science", "social science", "language science")
    problems = {
        str(i): {
            "split": "test", "topic": "", "answer": 0, "subject": subjects[i % 3],
            "hint": "h" * (i % 4 > 0), "image": "image.png" * (i % 5 < 2), "grade": f"grade{i % 12 + 1}",
        }
        for i in range(4241)
    }  # fmt: skip
    answers = {str(i): int((i * i + i // 7) % 5 >= 3) for i in range(4241)}  # right where it is below 3
    scores = loaded(programs / "ScienceQA/tools/evaluate_acc.py")["get_scores"]
    with files(results={"results": answers}, problems=problems) as paths:
        found = scores(paths["results"], paths["problems"])
    return json.dumps({name: found[name] for name in kept}, indent=1)


def captioning(programs: Path) -> tuple[Callable[[list[list[str]]], dict], type]:
    """Words by the Java tokeniser, which reads all captions as one text, and Cider."""
    with mock.patch.object(sys, "path", [str(programs / "pycocoevalcap"), *sys.path]):
        from pycocoevalcap.cider.cider import Cider
        from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    def words(captions: list[list[str]]) -> dict[int, list[str]]:
        return PTBTokenizer().tokenize({i: [{"caption": one} for one in of] for i, of in enumerate(captions)})

    return words, Cider


def cider(programs: Path, kept: dict) -> str:
    words, program = captioning(programs)
    references, captions = words(kept["references"]), words([[text] for text in kept["captions"]])
    mean, values = program().compute_score(references, captions)
    return json.dumps({**kept, "cider": values.tolist(), "mean": float(mean)}, indent=1)


def ptb(programs: Path, cases: list[list[str]]) -> str:
    """Any white space is a blank, as it is to Cider: Java leaves U+00A0 in a telephone number."""
    words, _ = captioning(programs)
    captions = [caption for caption, _ in cases]
    found = words([[caption] for caption in captions])
    return lines([[caption, " ".join(found[i][0].split())] for i, caption in enumerate(captions)]) + "\n"


MAKERS: dict[Callable[[Path, object], str], tuple[str, ...]] = {
    vqa: ("VQA", "LAVIS", "LLaVA", "aokvqa"),
    vizwiz: ("InstructBLIP_PEFT",),
    gqa: ("VCoder",),
    ivqa: ("just-ask",),
    visdial: ("visdial",),
    scienceqa: ("ScienceQA",),
    cider: ("pycocoevalcap",),
    ptb: ("pycocoevalcap",),
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Asks the official metric programs again.")
    parser.add_argument("programs", type=Path, help="the folder with a checkout of each")
    programs = parser.parse_args().programs.resolve()
    for make, needed in MAKERS.items():
        path = HERE / f"{make.__name__}.json"
        missing = [name for name in needed if not (programs / name).is_dir()]
        if make in (cider, ptb) and shutil.which("java") is None:
            missing.append("java")
        if missing:
            print(f"{path.name}: skipped, no {', '.join(missing)}")
            continue
        before = path.read_text(encoding="utf-8")
        progress = io.StringIO()
        with contextlib.redirect_stdout(progress), contextlib.redirect_stderr(progress):
            after = make(programs, json.loads(before))
        path.write_text(after, encoding="utf-8")
        print(f"{path.name}: {'as it was' if after == before else 'altered'}")


if __name__ == "__main__":
    main()
