"""Where do the models fail? Every arm of the first three studies answers the probes of probes.py."""

from pathlib import Path

from workbench.config import changed, load
from workbench.files import digest
from workbench.search.study import Arm, Claim, Study, module

FIRST = ("instruction_awareness", "data_balancing", "instruction_vs_multitask")


def arms() -> list[Arm]:
    """The arms of the first three studies, each configuration once, under the name of its first study."""
    root = Path(__file__).parents[2]
    base, found = load(root / "params.yaml"), dict[str, Arm]()
    for name in FIRST:
        for arm in module(root / "experiments" / name / "study.py").STUDY.arms:
            if arm.row != "multitask_tagged_tags":  # the probes come with instructions, as `tagged` gets them
                found.setdefault(digest([changed(base, arm.changes).to_dict(), arm.row]), arm)
    return list(found.values())


STUDY = Study(
    name="diagnostics",
    question="Where do the models fail: hallucination, grounding, reading, counting, space, candidate sets?",
    arms=arms(),
    baseline="full_t5",
    claims=[  # the datasets that ask for what the probes look at; the probes themselves are exploratory
        Claim("spatial statements", "full_t5", "drop_t5", "vsr", 1.0, primary=True),
        Claim("reading", "full_t5", "drop_t5", "textvqa", 1.0),
    ],
)
