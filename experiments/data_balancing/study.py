"""Does the sampling of datasets matter? The paper's Table 2, second ablation, in both of its readings."""

from workbench.search.study import Arm, Claim, Study

TABLE2 = "arXiv 2305.06500v2, Table 2, FlanT5-XL; workbench/report/paper_tables.json, table2_ablation"
SETS = {"gqa": 1.6, "scienceqa": 4.4, "iconqa": 0.1, "vizwiz": 0.9, "ivqa": 2.0}  # full minus without
ALONE: dict[str, float] = {}  # no manual factors

STUDY = Study(
    name="data_balancing",
    question="Does InstructBLIP need datasets sampled by the square root of their size?",
    arms=[
        Arm("sqrt_factors", {"data.sampling": "sqrt"}, title="square root, manual factors"),
        Arm("sqrt", {"data.sampling": "sqrt", "data.factors": ALONE}, title="square root alone"),
        Arm("uniform", {"data.sampling": "uniform", "data.factors": ALONE}, title="every dataset alike"),
        Arm("proportional", {"data.sampling": "proportional", "data.factors": ALONE}, title="by size"),
    ],
    baseline="sqrt_factors",
    claims=[
        # "w/o data balancing" can mean either, so the published difference stands beside both
        Claim(
            "uniform, held-out", "sqrt_factors", "uniform", "table2_held_out", 0.5, 1.8, TABLE2, True, SETS
        ),
        Claim(
            "proportional, held-out",
            "sqrt_factors",
            "proportional",
            "table2_held_out",
            0.5,
            1.8,
            TABLE2,
            True,
        ),
        Claim("uniform, held-in", "sqrt_factors", "uniform", "table2_held_in", 0.5, 1.5, TABLE2),
        Claim("proportional, held-in", "sqrt_factors", "proportional", "table2_held_in", 0.5, 1.5, TABLE2),
        Claim("manual factors, held-out", "sqrt_factors", "sqrt", "table2_held_out", 0.5),
        Claim("manual factors, held-in", "sqrt_factors", "sqrt", "table2_held_in", 0.5),
        Claim("manual factors, OKVQA", "sqrt_factors", "sqrt", "okvqa", 0.5),
    ],
)
