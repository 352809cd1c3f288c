"""BLIP-2's two stages of pre-training (arXiv 2301.12597, section 3; LAVIS blip2_qformer.py, blip2_t5.py).

Stage 1 teaches one Q-Former to look and to read: image-text contrast, image-text matching and
image-grounded generation share its weights and differ in the attention mask. Its text path is what
InstructBLIP's instruction goes through later; stage-2 checkpoints without it are a known trap (LAVIS
issues 344 and 414). Stage 2 lets the queries speak to a frozen language model; the text path rests.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers import (
    InstructBlipQFormerConfig,
    InstructBlipQFormerModel,
    InstructBlipVisionModel,
    PreTrainedTokenizerFast,
)

from workbench.batch import Batch
from workbench.data.collate import Collator
from workbench.data.templates import Templates, training_text
from workbench.model.associative_init import initialise_looking
from workbench.model.create import QUERY_STD
from workbench.train.pairs import Pairs, pick_pairs
from workbench.train.vision import cell_of_patches

QUERIES = 9  # one for each place of the grid, where it starts to look
TEMPERATURE = 0.07
Ids = Callable[[str], Sequence[int]]  # text to token ids
SMOOTHING = 0.1  # LAVIS: label smoothing of the contrastive loss


def shared_masks(queries: int, text: Tensor) -> Tensor:
    """(B, 1, L, L) additive mask for contrast and generation in one pass; L = queries + 2 T.

    The sequence is ``[queries | text for contrast | text for generation]``. Queries see queries,
    contrast text sees itself (unimodal mask), generation text sees the queries and what came before
    (multimodal causal mask); LAVIS runs the three one after the other.

    Args:
        text: (B, T) 1 for real tokens, 0 for padding.
    """
    rows, length = text.shape
    total = queries + 2 * length
    allowed = torch.zeros(rows, total, total, dtype=torch.bool, device=text.device)
    one, two = slice(queries, queries + length), slice(queries + length, total)
    allowed[:, :queries, :queries] = True
    allowed[:, one, one] = text.bool()[:, None, :]
    allowed[:, two, :queries] = True
    allowed[:, two, two] = text.bool()[:, None, :] & torch.ones_like(allowed[:, two, two]).tril()
    # a padded row has to see something, or its softmax is not a number
    allowed |= torch.eye(total, dtype=torch.bool, device=text.device)
    return additive(allowed)


def additive(allowed: Tensor) -> Tensor:
    """(B, L, L) booleans as a (B, 1, L, L) float mask."""
    least = torch.finfo(torch.float32).min
    return torch.zeros_like(allowed, dtype=torch.float32).masked_fill(~allowed, least)[:, None]


class Parts(nn.Module):
    """What stage 1 trains and an InstructBLIP takes over, under its names there."""

    def __init__(
        self, qformer: InstructBlipQFormerModel, vision: InstructBlipVisionModel, queries: int
    ) -> None:
        super().__init__()
        self.qformer = qformer
        self.query_tokens = nn.Parameter(torch.randn(1, queries, qformer.config.hidden_size) * QUERY_STD)
        self.post_layernorm = copy.deepcopy(vision.post_layernorm)


def qformer_fields(vocabulary: int) -> dict[str, Any]:
    """The micro Q-Former: 4 layers of width 128, every second one looks at the picture.

    Without BERT's dropout of .1, which all stages would inherit: at this size a Q-Former learns too
    little, not too much, and eight queries have no value to spare.
    """
    return dict(
        vocab_size=vocabulary, hidden_size=128, num_hidden_layers=4, num_attention_heads=4, pad_token_id=0,
        intermediate_size=512, cross_attention_frequency=2, encoder_hidden_size=128,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0,
    )  # fmt: skip


def new_qformer(vision: InstructBlipVisionModel, vocabulary: int, features: Tensor) -> Parts:
    """A Q-Former with QUERIES queries and the ViT's layer norm; LAVIS starts from BERT, this from looking.

    Args:
        features: (N, 65, V) of some pictures, before the layer norm.
    """
    config = InstructBlipQFormerConfig(**qformer_fields(vocabulary))
    config._attn_implementation = "eager"  # in bf16 on a CPU the fused attention's backward pass is slower
    parts = Parts(InstructBlipQFormerModel(config), vision, QUERIES)
    seen = parts.post_layernorm(features.float()).detach()
    initialise_looking(parts.qformer, parts.query_tokens, seen, cell_of_patches())
    return parts


class Stage1(nn.Module):
    """The Q-Former with the three heads of stage 1, which are thrown away afterwards."""

    def __init__(self, parts: Parts, start_token: int, pad_token: int) -> None:
        super().__init__()
        width = parts.qformer.config.hidden_size
        self.parts, self.start_token, self.pad_token = parts, start_token, pad_token
        self.image_head, self.text_head = nn.Linear(width, width), nn.Linear(width, width)
        self.match_head = nn.Linear(width, 2)
        self.word_head = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.LayerNorm(width))
        self.temperature = nn.Parameter(torch.tensor(TEMPERATURE))

    def trained(self) -> list[nn.Parameter]:
        """Q-Former, queries, post layer norm and heads."""
        return list(self.parameters())

    def forward(self, features: Tensor, ids: Tensor) -> dict[str, Tensor]:
        """The three losses of B pictures (B, N, V) and their captions (B, T), which begin with [CLS]."""
        image = self.parts.post_layernorm(features)
        rows, length = ids.shape
        text = (ids != self.pad_token).long()
        spoken = ids.clone()
        spoken[:, 0] = self.start_token
        queries = self.parts.query_tokens.expand(rows, -1, -1)
        count = queries.shape[1]
        position = torch.arange(length, device=ids.device).repeat(2)[None]
        hidden = self.parts.qformer(
            input_ids=torch.cat([ids, spoken], 1), attention_mask=shared_masks(count, text),
            position_ids=position, query_embeds=queries, encoder_hidden_states=image,
        ).last_hidden_state  # fmt: skip
        contrast, to_text, to_image = self._contrast(hidden[:, :count], hidden[:, count])
        embedded = self.parts.qformer.embeddings.word_embeddings.weight
        words = self.word_head(hidden[:, count + length :]) @ embedded.T
        wanted = ids[:, 1:].masked_fill(text[:, 1:] == 0, -100)
        generation = F.cross_entropy(words[:, :-1].flatten(0, 1), wanted.flatten(), label_smoothing=SMOOTHING)
        return {
            "contrast": contrast,
            "generation": generation,
            "matching": self._matching(image, ids, text, to_text.detach(), to_image.detach()),
        }

    def _contrast(self, queries: Tensor, text: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The loss and both (B, B) similarities; a picture is as similar as its best query (LAVIS)."""
        seen = F.normalize(self.image_head(queries), dim=-1)
        read = F.normalize(self.text_head(text), dim=-1)
        similar = torch.einsum("ikd,jd->ijk", seen, read).amax(-1) / self.temperature.clamp(0.01, 0.5)
        truth = torch.arange(len(text), device=text.device)
        loss = F.cross_entropy(similar, truth, label_smoothing=SMOOTHING)
        loss = (loss + F.cross_entropy(similar.T, truth, label_smoothing=SMOOTHING)) / 2
        return loss, similar, similar.T

    def _matching(self, seen: Tensor, ids: Tensor, text: Tensor, to_text: Tensor, to_image: Tensor) -> Tensor:
        """Matched pairs against hard negatives: even rows get a wrong text, odd ones a wrong picture."""
        rows, device = len(ids), ids.device
        same = torch.eye(rows, dtype=torch.bool, device=device)
        wrong_text = torch.multinomial(to_text.masked_fill(same, -1e4).softmax(-1) + 1e-8 * ~same, 1)[:, 0]
        wrong_image = torch.multinomial(to_image.masked_fill(same, -1e4).softmax(-1) + 1e-8 * ~same, 1)[:, 0]
        own = torch.arange(rows, device=device)
        swap = own % 2 == 0
        which_text = torch.cat([own, torch.where(swap, wrong_text, own)])
        which_image = torch.cat([own, torch.where(swap, own, wrong_image)])
        queries = self.parts.query_tokens.expand(2 * rows, -1, -1)
        mask = torch.cat([text.new_ones(2 * rows, queries.shape[1]), text[which_text]], 1)
        hidden = self.parts.qformer(
            input_ids=ids[which_text], attention_mask=mask, query_embeds=queries,
            encoder_hidden_states=seen[which_image],
        ).last_hidden_state[:, : queries.shape[1]]  # fmt: skip
        truth = torch.cat([torch.ones_like(own), torch.zeros_like(own)])
        return F.cross_entropy(self.match_head(hidden).mean(1), truth)


def cosine(step: int, steps: int, warmup: int) -> float:
    """Share of the peak rate: linear warm-up, cosine to 0."""
    return min(1.0, (step + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * step / steps))


def stage1(
    model: Stage1, data: Pairs, ids: Ids, steps: int, batch_size: int, rate: float, seed: int
) -> Iterator[tuple[int, dict[str, float]]]:
    """Trains in place, in bf16 over fp32 weights; yields (step, the three losses)."""
    optimizer = torch.optim.AdamW(model.trained(), lr=rate, weight_decay=0.05, betas=(0.9, 0.98))
    device = model.temperature.device
    model.train()
    for step in range(steps):
        for group in optimizer.param_groups:
            group["lr"] = rate * cosine(step, steps, 100)
        indices, captions = pick_pairs(data, seed, step, batch_size)
        rows = [list(ids(text)) for text in captions]
        width = max(map(len, rows))
        padded = torch.tensor([[*row, *[model.pad_token] * (width - len(row))] for row in rows])
        with torch.autocast(device.type, torch.bfloat16):
            losses = model(data.features[indices].float().to(device), padded.to(device))
        optimizer.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        nn.utils.clip_grad_norm_(model.trained(), 1.0)
        optimizer.step()
        yield step + 1, {name: float(loss.detach()) for name, loss in losses.items()}
    model.eval()


def stage2_batches(data: Pairs, collator: Collator, seed: int, size: int) -> Callable[[int], Iterator[Batch]]:
    """The loop's batches: captions, asked for by a drawn template of which the Q-Former sees nothing."""
    templates = Templates.builtin()

    def at(step: int) -> Iterator[Batch]:
        indices, captions = pick_pairs(data, seed, step, size)
        rng = np.random.default_rng([seed, step, 2])
        chosen = [data.numbered(i) for i in indices]
        asked = [training_text(e, "instruct", templates, int(rng.integers(2**63)))[0] for e in chosen]
        yield collator.train(chosen, asked, captions)

    return at


def text_ids(tokenizer: PreTrainedTokenizerFast) -> Ids:
    """Text to the Q-Former's ids, [CLS] first."""
    return lambda text: tokenizer(text, truncation=True, max_length=64).input_ids


@torch.no_grad()
def retrieval(model: Stage1, data: Pairs, ids: Ids) -> dict[str, float]:
    """Recall at 1 among all pairs of `data` by the contrastive similarity, text to image and back."""
    count = len(data.examples)
    rows = [list(ids(example.references[0])) for example in data.examples]
    width = max(map(len, rows))
    device = model.temperature.device
    text = torch.tensor([[*row, *[model.pad_token] * (width - len(row))] for row in rows], device=device)
    image = model.parts.post_layernorm(data.features.float().to(device))
    queries = model.parts.query_tokens.expand(count, -1, -1)
    mask = shared_masks(queries.shape[1], (text != model.pad_token).long())
    hidden = model.parts.qformer(
        input_ids=torch.cat([text, text], 1), attention_mask=mask, query_embeds=queries,
        encoder_hidden_states=image, position_ids=torch.arange(width, device=device).repeat(2)[None],
    ).last_hidden_state  # fmt: skip
    _, to_text, to_image = model._contrast(hidden[:, : queries.shape[1]], hidden[:, queries.shape[1]])
    truth = torch.arange(count, device=device)
    return {
        "recall@1/image_to_text": float((to_text.argmax(-1) == truth).float().mean()),
        "recall@1/text_to_image": float((to_image.argmax(-1) == truth).float().mean()),
    }


def qformer_state(parts: Parts) -> dict[str, Tensor]:
    """The parts' weights under the names an InstructBLIP gives them."""
    there = "vision_model."  # which owns the post layer norm
    return {
        there * name.startswith("post_layernorm.") + name: tensor.contiguous()
        for name, tensor in parts.state_dict().items()
    }


@torch.no_grad()
def object_recall(said: Sequence[str], shown: Sequence[Sequence[str]]) -> float:
    """Share of the shown concepts' names that a caption says, averaged over pictures."""
    spoken = zip(map(str.split, said), shown, strict=True)
    return float(np.mean([np.mean([name in words for name in names]) for words, names in spoken]))
