"""Does the Q-Former have to read the instruction? The paper's Table 2, first ablation, for T5 and Llama."""

from workbench.search.study import Arm, Claim, Study

DROPPED = {"model.instruction_aware": False, "model.unaware_form": "drop"}
CONSTANT = {"model.instruction_aware": False, "model.unaware_form": "constant"}
TABLE2 = "arXiv 2305.06500v2, Table 2, {}; workbench/report/paper_tables.json, table2_ablation"
T5 = TABLE2.format("FlanT5-XL")
LLAMA = TABLE2.format("Vicuna-7B (held-in and most held-out cells from memory)")

# full minus without, Table 2
T5_SETS = {"gqa": 2.5, "scienceqa": 7.0, "iconqa": 4.2, "vizwiz": 7.6, "ivqa": 5.6}
LLAMA_SETS = {"gqa": 1.0, "scienceqa": 5.3, "iconqa": 1.9, "vizwiz": 2.1, "ivqa": 15.4}

ARMS = [
    Arm(f"{form}_{family}", {"model.language_model": family, **changes}, title=f"{title}, {name}")
    for family, name in (("t5", "T5"), ("llama", "Llama"))
    for form, title, changes in (
        ("full", "instruction-aware", {}),
        ("drop", "no text path", DROPPED),
        ("constant", "empty instruction", CONSTANT),
    )
]

STUDY = Study(
    name="instruction_awareness",
    question="Does InstructBLIP need a Q-Former that reads the instruction?",
    arms=ARMS,
    baseline="full_t5",
    claims=[
        # the paper's way of switching it off, and its own averages
        Claim("held-out, T5", "full_t5", "drop_t5", "table2_held_out", 1.0, 5.38, T5, True, T5_SETS),
        Claim(
            "held-out, Llama",
            "full_llama",
            "drop_llama",
            "table2_held_out",
            1.0,
            5.14,
            LLAMA,
            True,
            LLAMA_SETS,
        ),
        Claim("held-in, T5", "full_t5", "drop_t5", "table2_held_in", 1.0, 4.3, T5),
        Claim("held-in, Llama", "full_llama", "drop_llama", "table2_held_in", 1.0, 1.9, LLAMA),
        # all thirteen sets, on which the paper has no such figure
        Claim("all held-out, T5", "full_t5", "drop_t5", "held_out", 1.0),
        Claim("all held-out, Llama", "full_llama", "drop_llama", "held_out", 1.0),
        # is it the text, or the parameters that read it?
        Claim("same parameters, T5", "full_t5", "constant_t5", "table2_held_out", 1.0),
        Claim("same parameters, Llama", "full_llama", "constant_llama", "table2_held_out", 1.0),
    ],
)
