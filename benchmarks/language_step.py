"""Training the micro language models: a step in bf16 on a copy of the weights against one in fp32.

The copy costs little; what is won depends on whether the processor has bf16 matrix units (`lscpu | grep
amx_bf16`).
"""

from __future__ import annotations

import argparse

import materials
import torch

from workbench.data.micro.vocabulary import language_tokenizer
from workbench.train.language import Schedule, TextBatches, loss_of, new_llama, new_t5
from workbench.train.rows import Row


def main() -> None:
    """Both precisions in one process, for dense texts and for the datasets' tasks, and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--family", choices=("t5", "llama"), default="t5")
    parser.add_argument("--rows", type=int, default=32, help="texts in a step")
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    tokenizer = language_tokenizer()
    model = (new_t5 if given.family == "t5" else new_llama)(tokenizer)
    print(f"{given.family}, {given.rows} texts, {torch.get_num_threads()} threads")
    for title, share in (("dense", 1.0), ("tasks", 0.0)):
        plan = Schedule(batch_size=given.rows, one_hop_steps=0, dense_steps=0, dense_share=share)
        rows = next(iter(TextBatches(given.family, tokenizer, plan, 0)))[0]

        def step(rows: list[Row] = rows) -> None:
            model.zero_grad(set_to_none=True)
            loss_of(model, rows, tokenizer.pad_token_id).backward()

        taken = []
        for precision in (torch.float32, torch.bfloat16):
            model.to(precision)
            taken.append(materials.seconds(step, given.repeats))
        answers = sum(len(row.answers) for row in rows)
        print(
            f"{title}: fp32 {taken[0]:.3f} s, bf16 {taken[1]:.3f} s, {taken[0] / taken[1]:.2f}x; "
            f"{answers / taken[1]:.0f} answers/s in bf16"
        )


if __name__ == "__main__":
    main()
