"""Does a Q-Former that reads the instruction help where its queries cannot hold the picture?

Micro's start has nine queries, one for each cell of a scene, so that a Q-Former that reads nothing can hand
over everything but words. With the first four of them it has to choose. Selecting has to be learnt first, so
the pairs are also tuned four times as long, at the rate that was best for four queries on development seed 7.
"""

from workbench.search.study import Arm, Claim, Study

FOUR = {"model.num_query_tokens": 4}
LONG = {"train.steps": 400, "train.learning_rate": 1e-3}
DROPPED = {"model.instruction_aware": False, "model.unaware_form": "drop"}
SETTINGS: dict[str, tuple[str, dict[str, object]]] = {
    "9": ("nine queries, 100 steps", {}),
    "9_long": ("nine queries, 400 steps", {**LONG}),
    "4": ("four queries, 100 steps", {**FOUR}),
    "4_long": ("four queries, 400 steps", {**FOUR, **LONG}),
}
FORMS: dict[str, dict[str, object]] = {"aware": {}, "drop": DROPPED}
TITLES = {"aware": "instruction-aware", "drop": "no text path"}
# the factors at equal training: arm -> (aware, nine queries instead of four)
SQUARE = {"aware_9": (1, 1), "drop_9": (0, 1), "aware_4": (1, 0), "drop_4": (0, 0)}
FACTORS = ("instruction-aware", "nine queries")

STUDY = Study(
    name="query_bottleneck",
    question="Does instruction-awareness help where the queries cannot hold the whole picture?",
    arms=[
        Arm(f"{form}_{name}", {**settings, **changes}, title=f"{label}, {TITLES[form]}")
        for name, (label, settings) in SETTINGS.items()
        for form, changes in FORMS.items()
    ],
    baseline="aware_9",
    claims=[
        Claim("four queries, held-in", "aware_4_long", "drop_4_long", "held_in", 1.0, primary=True),
        Claim("four queries, held-out", "aware_4_long", "drop_4_long", "held_out", 1.0, primary=True),
        Claim("four queries, 100 steps, held-in", "aware_4", "drop_4", "held_in", 1.0),
        Claim("four queries, 100 steps, held-out", "aware_4", "drop_4", "held_out", 1.0),
        Claim("nine queries, held-in", "aware_9", "drop_9", "held_in", 1.0),
        Claim("nine queries, held-out", "aware_9", "drop_9", "held_out", 1.0),
        Claim("nine queries, 400 steps, held-in", "aware_9_long", "drop_9_long", "held_in", 1.0),
        Claim("nine queries, 400 steps, held-out", "aware_9_long", "drop_9_long", "held_out", 1.0),
        # do nine hold more than four, to one who reads nothing?
        Claim("bottleneck, held-in", "drop_9", "drop_4", "held_in", 1.0),
        Claim("bottleneck, held-out", "drop_9", "drop_4", "held_out", 1.0),
    ],
)
