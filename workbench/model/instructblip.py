"""InstructBLIP around transformers' class: switches, cached features, video frames, answer-only loss."""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import BitsAndBytesConfig, InstructBlipForConditionalGeneration
from transformers.modeling_layers import GradientCheckpointingLayer

from workbench.batch import Batch
from workbench.config import Model
from workbench.model.create import QUERY_STD
from workbench.model.folder import ModelError, check_files, copy_companions, reading
from workbench.model.language import Language, language_of

EXTRA_QUERIES_SEED = 2023  # the same extra queries in every arm and seed
TRAINED = ("qformer.", "query_tokens", "language_projection.")
VISION_LAYERNORM = "vision_model.post_layernorm."


class LossSum(NamedTuple):
    """Summed negative log-likelihood in nats (fp32) over that many target tokens (int64), both scalars.

    Sums, so that micro-batches and processes add up to the loss per token of the global batch.
    """

    loss: Tensor
    tokens: Tensor


class InstructBlip(nn.Module):
    """The model that is tuned. All weights live in `hf`, under transformers' names.

    Trained: Q-Former, query tokens, projection and, by a switch, the vision post layer norm (LAVIS
    ln_vision). The rest is frozen and stays in eval mode.
    """

    def __init__(self, hf: InstructBlipForConditionalGeneration, switches: Model, source: Path) -> None:
        """Applies the switches to a loaded model; `source` is where its tokenizers are copied from."""
        super().__init__()
        self.hf = hf
        self.source = source
        self.reads_instruction = switches.instruction_aware or switches.unaware_form == "constant"
        self.language: Language = language_of(hf.language_model)
        self._text_path = [] if self.reads_instruction else _text_path(hf)
        self._attach_text_path(False)
        hf.config.reads_instruction = self.reads_instruction
        _set_queries(hf, switches.num_query_tokens)
        trained = (*TRAINED, VISION_LAYERNORM) if switches.train_vision_layernorm else TRAINED
        for name, parameter in hf.named_parameters():
            parameter.requires_grad_(name.startswith(trained))
        if switches.vision_layernorm_eps:
            hf.vision_model.post_layernorm.eps = switches.vision_layernorm_eps
        if switches.frozen_precision == "bf16":
            _halve(hf.language_model, hf.vision_model.embeddings, hf.vision_model.encoder)
        self._recomputed: list[nn.Module] = []
        self.train(False)

    @classmethod
    def load(cls, folder: Path, switches: Model) -> Self:
        """Loads a transformers InstructBLIP folder in fp32, whatever its precision on disk; its frozen
        parts are then held as `frozen_precision` says.

        Raises:
            ModelError: when a part is missing, unreadable, incomplete or contradicts the switches.
        """
        check_files(folder, tokenizers=True)
        with reading(folder):
            loaded: Any = InstructBlipForConditionalGeneration.from_pretrained(
                folder, dtype=torch.float32, output_loading_info=True, **_quantisation(switches)
            )
        hf, report = loaded
        if missing := sorted(report["missing_keys"]):
            # among them the Q-Former's text path, which stage-2 BLIP-2 checkpoints lack (LAVIS issue 344)
            raise ModelError(
                f"{folder} lacks {len(missing)} weights ({', '.join(missing[:3])}, ...), which would "
                "start at random; use a BLIP-2 whose stage 1 trained the whole Q-Former"
            )
        family = "t5" if hf.language_model.config.is_encoder_decoder else "llama"
        if family != switches.language_model:
            raise ModelError(
                f"{folder} holds a language model of the {family} family; "
                f"set model.language_model={family} or choose another model.start"
            )
        if switches.instruction_aware and not getattr(hf.config, "reads_instruction", True):
            raise ModelError(
                f"{folder} was tuned without the Q-Former's text path; "
                "set model.instruction_aware=false or choose another model.start"
            )
        return cls(hf, switches, folder)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.hf.query_tokens.device

    def prepare_training(self, precision: Literal["fp32", "bf16"], checkpointing: bool = False) -> None:
        """Chooses the attention that trains: on a CPU in bf16, torch's fused one has a slow backward pass
        (a third of a micro step), and attention written out gives the same to rounding; on a GPU cuDNN's
        is switched off for the process, which gives gradients that are no numbers where something is
        masked and a sequence is 64 longer than a multiple of 128 (pytorch issue 196678).

        Args:
            checkpointing: keep only what enters each layer, and compute the layer again on the way back.
        """
        if precision == "bf16" and self.device.type == "cpu":
            self.hf.set_attn_implementation("eager")
        if self.device.type == "cuda":
            torch.backends.cuda.enable_cudnn_sdp(False)
        if checkpointing:
            self.hf.gradient_checkpointing_enable({"use_reentrant": False})
            layers = (*self.hf.qformer.modules(), *self.hf.language_model.modules())
            self._recomputed = [layer for layer in layers if isinstance(layer, GradientCheckpointingLayer)]

    def train(self, mode: bool = True) -> Self:
        """Sets the mode of the trained parts; the frozen ones stay in eval mode (no dropout)."""
        super().train(mode)
        self.hf.vision_model.eval()
        self.hf.language_model.eval()
        for layer in self._recomputed:  # in eval mode none is; the flag of the layer alone starts no dropout
            layer.training = mode
        return self

    @contextmanager
    def answering(self) -> Iterator[None]:
        """Eval mode without gradients; the former mode returns afterwards."""
        training = self.training
        if training:  # to go through all modules takes as long as some layers
            self.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            if training:
                self.train()

    def trainable(self) -> dict[str, nn.Parameter]:
        """The trained parameters by their names in `hf`, which a checkpoint holds."""
        return {name: p for name, p in self.hf.named_parameters() if p.requires_grad}

    def frozen_checksum(self) -> str:
        """SHA-256 over names, shapes and bits of all frozen parameters."""
        total = hashlib.sha256()
        for name, parameter in sorted(self.hf.named_parameters()):
            if not parameter.requires_grad:
                total.update(f"{name} {tuple(parameter.shape)} {parameter.dtype}".encode())
                total.update(parameter.detach().cpu().contiguous().view(torch.uint8).numpy().data)
        return total.hexdigest()

    def prefix(self, batch: Batch) -> Tensor:
        """What the language model sees of the pictures: (B, F*K, D), K tokens of each frame in order.

        Every frame passes the Q-Former on its own, with the same instruction (LAVIS section 1.7 for
        video); only the query slots are projected.

        Raises:
            ModelError: when the features come from an encoder of another width.
        """
        rows, frames, _, width = batch.features.shape
        expected = self.hf.vision_model.config.hidden_size
        if width != expected:
            raise ModelError(
                f"the features are {width} wide but the Q-Former of {self.source} reads {expected}; "
                "run the features stage again with this start's encoder"
            )
        image = self.hf.vision_model.post_layernorm(batch.features.flatten(0, 1))
        queries = self.hf.query_tokens.expand(len(image), -1, -1)
        ids, mask = None, None
        if self.reads_instruction:
            ids = batch.qformer_ids.repeat_interleave(frames, dim=0)
            text = batch.qformer_mask.repeat_interleave(frames, dim=0)
            mask = torch.cat([text.new_ones(queries.shape[:2]), text], dim=1)
        slots = self.hf.qformer(
            input_ids=ids, attention_mask=mask, query_embeds=queries, encoder_hidden_states=image
        ).last_hidden_state
        projected = self.hf.language_projection(slots[:, : queries.shape[1]])
        return projected.reshape(rows, -1, projected.shape[-1])

    def inputs(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Embeddings (B, L, D) and mask (B, L) of ``[prefix | prompt]`` for the language model."""
        return self.language.inputs(self.prefix(batch), batch.prompt_ids, batch.prompt_mask)

    def forward(self, batch: Batch) -> LossSum:
        """The loss of the targets; logits are computed at target tokens only."""
        assert batch.target_ids is not None, "a training batch has targets"
        assert batch.target_mask is not None, "a training batch has targets"
        embeds, mask = self.inputs(batch)
        states = self.language.answer_states(embeds, mask, batch.target_ids, batch.target_mask)
        wanted = batch.target_mask.bool()
        logits = self.language.logits(states[wanted])
        loss = functional.cross_entropy(logits, batch.target_ids[wanted], reduction="sum")
        return LossSum(loss, wanted.sum())

    def save_pretrained(self, folder: Path) -> None:
        """Writes a folder that plain transformers loads, tokenizers and processor files included.

        With the text path dropped, the start's untouched text weights are saved in its place, because
        transformers has no Q-Former without one; plain transformers then gives the same answers when
        `qformer_attention_mask` is all zeros. config.json says `reads_instruction: false`, and `load`
        refuses to read such a folder as an instruction-aware model.
        """
        self._attach_text_path(True)
        try:
            self.hf.save_pretrained(folder)
        finally:
            self._attach_text_path(False)
        copy_companions(self.source, folder, self.hf.config.num_query_tokens)

    def _attach_text_path(self, attached: bool) -> None:
        for parent, name, child in self._text_path:
            setattr(parent, name, child if attached else None)


def _halve(*parts: nn.Module) -> None:
    """Parameters to bf16; buffers, such as the frequencies of rotary positions, keep their precision."""
    for part in parts:
        for parameter in part.parameters():
            parameter.data = parameter.data.to(torch.bfloat16)


def _quantisation(switches: Model) -> dict[str, Any]:
    """What from_pretrained needs to hold the language model in 8 bits; nothing for other precisions."""
    if switches.frozen_precision != "int8":
        return {}
    if not torch.cuda.is_available() or importlib.util.find_spec("bitsandbytes") is None:
        raise ModelError(
            "model.frozen_precision=int8 needs an NVIDIA GPU and bitsandbytes (pip install '.[int8]'); "
            "install it there, or set model.frozen_precision=bf16"
        )
    whole = ["vision_model", "qformer", "language_projection", "lm_head"]
    return {"quantization_config": BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=whole)}


def _text_path(hf: InstructBlipForConditionalGeneration) -> list[tuple[nn.Module, str, nn.Module]]:
    """What LAVIS deletes with qformer_text_input=False: text embeddings and text feed-forwards."""
    embeddings = hf.qformer.embeddings
    places = [(embeddings, "word_embeddings"), (embeddings, "position_embeddings")]
    places += [(layer, name) for layer in hf.qformer.encoder.layer for name in ("intermediate", "output")]
    return [(parent, name, getattr(parent, name)) for parent, name in places]


def _set_queries(hf: InstructBlipForConditionalGeneration, count: int) -> None:
    """Keeps the first queries, or adds some from N(0, 0.02) of a fixed generator."""
    queries = hf.query_tokens.detach()[:, :count].clone()
    if lacking := count - queries.shape[1]:
        draw = torch.Generator().manual_seed(EXTRA_QUERIES_SEED)
        extra = torch.randn(1, lacking, queries.shape[2], generator=draw) * QUERY_STD
        queries = torch.cat([queries, extra], dim=1)
    hf.query_tokens = nn.Parameter(queries)
    hf.config.num_query_tokens = count
