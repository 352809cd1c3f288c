"""Which weights should the datasets have? The paper's equation 1 and its two manual factors, explored."""

from optuna.distributions import FloatDistribution
from optuna.pruners import MedianPruner

from workbench.search.space import Space
from workbench.search.study import Arm, Claim, Study

A_OKVQA, OKVQA = "data.factors.aokvqa", "data.factors.okvqa"
DOWN, UP = 0.5, 2.0  # ours, as in params.yaml: the paper names the two datasets, not the numbers


def setting(exponent: float, aokvqa: float, okvqa: float) -> dict[str, float]:
    """A value for each dimension; the other datasets keep their weight."""
    return {
        "data.exponent": exponent,
        A_OKVQA: aokvqa,
        OKVQA: okvqa,
        "data.factors.web_capfilt": 1.0,
        "data.factors.ocrvqa": 1.0,
        "data.factors.coco_caption": 1.0,
    }


SPACE = Space(
    dimensions={
        "data.exponent": FloatDistribution(0.0, 1.0),  # 0 uniform, .5 square root, 1 proportional
        A_OKVQA: FloatDistribution(0.125, 8.0, log=True),
        OKVQA: FloatDistribution(0.125, 8.0, log=True),
        # the three largest, whose weights move those of all others most
        "data.factors.web_capfilt": FloatDistribution(0.125, 8.0, log=True),
        "data.factors.ocrvqa": FloatDistribution(0.125, 8.0, log=True),
        "data.factors.coco_caption": FloatDistribution(0.125, 8.0, log=True),
    },
    fixed={"data.sampling": "power"},
    first={
        "paper": setting(0.5, DOWN, UP),
        "square root": setting(0.5, 1.0, 1.0),
        "A-OKVQA down": setting(0.5, DOWN, 1.0),
        "OKVQA up": setting(0.5, 1.0, UP),
        "uniform": setting(0.0, 1.0, 1.0),
        "proportional": setting(1.0, 1.0, 1.0),
    },
    contrasts={
        "both manual factors": ("paper", "square root"),
        "A-OKVQA down": ("A-OKVQA down", "square root"),
        "OKVQA up": ("OKVQA up", "square root"),
        "square root over uniform": ("square root", "uniform"),
        "square root over proportional": ("square root", "proportional"),
    },
    pruner=MedianPruner(n_startup_trials=6),
)

# the best of the 40 trials, rounded: held-in validation, one training of seed 1
EXPLORED = SPACE.fixed | {
    "data.exponent": 0.79,
    "data.factors": {"aokvqa": 5.7, "okvqa": 1.1, "web_capfilt": 5.9, "ocrvqa": 0.34, "coco_caption": 2.8},
}

STUDY = Study(
    name="dataset_weights",
    question="How much do the weights of the datasets matter, and what are the two manual ones worth?",
    arms=[
        Arm("both", title="A-OKVQA down, OKVQA up"),
        Arm("aokvqa_down", {"data.factors": {"aokvqa": DOWN}}, title="A-OKVQA down"),
        Arm("okvqa_up", {"data.factors": {"okvqa": UP}}, title="OKVQA up"),
        Arm("neither", {"data.factors": {}}, title="square root alone"),
        Arm("explored", EXPLORED, title="best trial of the exploration"),
    ],
    baseline="both",
    claims=[
        Claim("both, held-in", "both", "neither", "held_in", 0.5, primary=True),
        Claim("both, held-out", "both", "neither", "held_out", 0.5, primary=True),
        Claim("explored, held-in", "explored", "both", "held_in", 0.5, primary=True),
        Claim("explored, held-out", "explored", "both", "held_out", 0.5, primary=True),
        Claim("A-OKVQA down, held-in", "aokvqa_down", "neither", "held_in", 0.5),
        Claim("A-OKVQA down, A-OKVQA", "aokvqa_down", "neither", "aokvqa", 1.0),
        Claim("OKVQA up, held-in", "okvqa_up", "neither", "held_in", 0.5),
        Claim("OKVQA up, OKVQA", "okvqa_up", "neither", "okvqa", 1.0),
    ],
)
