"""How much do scores depend on templates, in training and in evaluation?"""

from workbench.search.study import Arm, Claim, Study

HERE = "experiments/template_sensitivity"

STUDY = Study(
    name="template_sensitivity",
    question="How much do scores move with the wording of the instruction, and which training steadies them?",
    arms=[
        Arm("builtin", title="all built-in templates, 6 to 13 a task"),
        Arm("three_diverse", {"data.templates": f"{HERE}/three_diverse.yaml"}, title="three that differ"),
        Arm("three_alike", {"data.templates": f"{HERE}/three_alike.yaml"}, title="three that are alike"),
        Arm("one", {"data.templates": f"{HERE}/one.yaml"}, title="one a task"),
    ],
    baseline="builtin",
    claims=[
        Claim("number of templates, held-out", "builtin", "one", "held_out", 1.0, primary=True),
        Claim("number of templates, held-in", "builtin", "one", "held_in", 1.0),
        Claim("diversity, held-out", "three_diverse", "three_alike", "held_out", 1.0, primary=True),
        Claim("diversity, held-in", "three_diverse", "three_alike", "held_in", 1.0),
    ],
)
