"""Does a Q-Former that reads the instruction need many datasets, or do many datasets need it?

A 2 x 2 x 2 of instruction-awareness, number of held-in datasets and number of their task categories, and
the same two models on all thirteen. Every arm is tuned with the operations of `aware_13` (flops.json).
"""

from workbench.data.catalog import HELD_OUT
from workbench.search.study import Arm, Claim, Study

# number of datasets, whether of more categories -> the datasets; both fours and both eights have as many
SETS: dict[str, tuple[str, ...]] = {
    "4_fewer": ("coco_caption", "web_capfilt", "okvqa", "aokvqa"),  # 2 categories
    "4_more": ("coco_caption", "okvqa", "ocrvqa", "vqav2_qg"),  # 4
    "8_fewer": (
        "coco_caption", "web_capfilt", "okvqa", "aokvqa",
        "vqav2_qg", "okvqa_qg", "llava_conversation", "llava_reasoning",
    ),  # 4
    "8_more": (
        "coco_caption", "web_capfilt", "okvqa", "vqav2",
        "ocrvqa", "textcaps", "vqav2_qg", "llava_conversation",
    ),  # 7
    "13": (),  # all, 7 categories
}  # fmt: skip
LABELS = {
    "4_fewer": "4 sets, 2 categories",
    "4_more": "4 sets, 4 categories",
    "8_fewer": "8 sets, 4 categories",
    "8_more": "8 sets, 7 categories",
    "13": "13 sets, 7 categories",
}
# the question is about held-out sets alone, with their pictures
EXAMINED = {"evaluate.datasets": list(HELD_OUT), "evaluate.blind": False}
FORMS: dict[str, dict[str, object]] = {"aware": {}, "drop": {"model.instruction_aware": False}}
TITLES = {"aware": "instruction-aware", "drop": "no text path"}
# the factors of the cube: arm -> (aware, eight datasets instead of four, more categories instead of fewer)
CUBE = {
    f"{form}_{name}": (int(form == "aware"), int(name[0] == "8"), int(name.endswith("more")))
    for form in FORMS
    for name in SETS
    if name != "13"
}
FACTORS = ("instruction-aware", "more datasets", "more categories")

STUDY = Study(
    name="awareness_vs_diversity",
    question="At equal compute, do instruction-awareness and the diversity of held-in data need each other?",
    arms=[
        Arm(
            f"{form}_{name}",
            {"data.held_in": list(datasets), **changes, **EXAMINED},
            title=f"{LABELS[name]}, {TITLES[form]}",
        )
        for name, datasets in SETS.items()
        for form, changes in FORMS.items()
    ],
    baseline="aware_13",
    claims=[
        Claim("awareness, all sets", "aware_13", "drop_13", "held_out", 1.0, primary=True),
        Claim("awareness, four sets", "aware_4_fewer", "drop_4_fewer", "held_out", 1.0),
        Claim("diversity, aware", "aware_8_more", "aware_4_fewer", "held_out", 1.0, primary=True),
        Claim("diversity, unaware", "drop_8_more", "drop_4_fewer", "held_out", 1.0),
        Claim("categories at four sets, aware", "aware_4_more", "aware_4_fewer", "held_out", 1.0),
        Claim("categories at eight sets, aware", "aware_8_more", "aware_8_fewer", "held_out", 1.0),
    ],
    matched=True,
)
