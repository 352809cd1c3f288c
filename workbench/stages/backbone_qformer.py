"""Frozen stage backbone_qformer: BLIP-2's stage 1, the Q-Former that both BLIP-2 starts share."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import InstructBlipVisionModel

from workbench.config import Config
from workbench.data.micro.vocabulary import qformer_tokenizer
from workbench.files import replacing, write_json
from workbench.progress import shown
from workbench.stages.backbone import FIGURES, Clock, conclude, curve, device, recorded
from workbench.stages.guard import stage
from workbench.train import blip2
from workbench.train.pairs import pairs

MODULE = "workbench.stages.backbone_qformer"
STEPS, SEED, BATCH, RATE = 1600, 17, 48, 1e-3
PICTURES = (24_000, 8_000)  # of the twins of web_capfilt and coco_caption
FOLDER = Path("outputs/backbones/qformer")
PAIRS = Path("outputs/backbones/pairs")  # the pictures' features, for both stages


def work(config: Config, root: Path) -> None:
    """Trains stage 1 and saves the Q-Former, the queries and the post layer norm."""
    torch.manual_seed(SEED)
    vision = InstructBlipVisionModel.from_pretrained(
        root / "backbones/micro/vision", dtype=torch.float32
    ).eval()
    tokenizer, clock = qformer_tokenizer(), Clock()
    data = pairs(vision, *PICTURES, seed=config.data.world_seed, kept=root / PAIRS)
    model = blip2.Stage1(
        blip2.new_qformer(vision, len(tokenizer), data.features[:2000]),
        tokenizer.bos_token_id,
        tokenizer.pad_token_id,
    ).to(device())
    ids = blip2.text_ids(tokenizer)
    last: list[dict[str, float]] = []
    with recorded(config, root, MODULE, "Q-Former, stage 1", SEED) as track:
        points = curve(track, blip2.stage1(model, data, ids, STEPS, BATCH, RATE, SEED))
        for _, losses in shown(points, "stage 1", STEPS):
            last = [*last[-99:], losses]
        fresh = pairs(vision, web=0, coco=256, seed=config.data.world_seed, split="val")
        found = blip2.retrieval(model, fresh, ids)
        found |= {f"loss/{name}": sum(point[name] for point in last) / len(last) for name in last[0]}
        with replacing(root / FOLDER / "qformer.safetensors") as path:
            save_file(blip2.qformer_state(model.parts), path)
        rounded = {name: round(value, 4) for name, value in found.items()}
        write_json(root / FOLDER / FIGURES, {"seed": SEED, "steps": STEPS, **clock.cost(), **rounded})
        conclude(track, root / FOLDER, STEPS)


if __name__ == "__main__":
    stage(work)
