"""Is the tuned model a better start for one task than BLIP-2? The paper's Table 3."""

from workbench.search.study import Arm, Claim, Study

TABLE3 = "arXiv 2305.06500v2, Table 3, FlanT5-XXL; workbench/report/paper_tables.json, table3_finetuning"
# dataset -> title, what the paper gained; A-OKVQA by multiple choice on the test split, and below by
# direct answers; easy-VQA is not in it
TASKS: dict[str, tuple[str, float | None]] = {
    "scienceqa": ("ScienceQA", 1.2),
    "ocrvqa": ("OCR-VQA", 0.6),
    "okvqa": ("OKVQA", 0.8),
    "aokvqa": ("A-OKVQA", 0.5),
    "easy_vqa": ("easy-VQA", None),
}
# half of the tuning's steps, with its peak rate; the paper's hyper-parameters are not published
SHORT = {"train.steps": 50, "train.warmup_steps": 10, "train.eval_every_steps": 25}
# the tasks, and a held-in and a held-out set beside them that show what is forgotten
EXAMINED = {"evaluate.datasets": [*TASKS, "coco_caption", "gqa"], "evaluate.blind": False}


def arms(name: str, title: str) -> list[Arm]:
    """One dataset from both starts."""
    changes = {"data.downstream": name, **SHORT, **EXAMINED}
    return [
        Arm(f"{name}_blip2", changes, title=f"{title}, from BLIP-2"),
        Arm(f"{name}_tuned", changes, title=f"{title}, from the tuned model", after="tuned"),
    ]


STUDY = Study(
    name="finetuning",
    question="Is the instruction-tuned model a better start for a single task than BLIP-2?",
    arms=[
        Arm("tuned", EXAMINED, title="instruction-tuned, not fine-tuned"),
        *(arm for name, (title, _) in TASKS.items() for arm in arms(name, title)),
    ],
    baseline="tuned",
    claims=[
        *(
            Claim(title, f"{name}_tuned", f"{name}_blip2", name, 0.5, paper, TABLE3 if paper else "", True)
            for name, (title, paper) in TASKS.items()
        ),
        *(
            Claim(f"{title}, over no fine-tuning", f"{name}_tuned", "tuned", name, 0.5)
            for name, (title, _) in TASKS.items()
        ),
        # the same two models, asked without the choices
        Claim("A-OKVQA, direct answer", "aokvqa_tuned", "aokvqa_blip2", "aokvqa_direct", 0.5, 1.1, TABLE3),
    ],
)
