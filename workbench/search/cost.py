"""What a training step of a configuration takes, counted and not estimated: the model's own code runs on
tensors without contents.

    FLOPs      two for each multiply-add of every matrix product, forward and backward, as torch counts them;
               through the frozen language model backward costs as much as forward, because gradients pass
               through it but none is kept for its weights; in the Q-Former it costs twice as much
    memory     the most that tensors hold at once in forward and backward (weights, gradients, activations),
               plus 8 bytes per trained parameter for Adam's two moments
    features   pictures x N tokens x width x 2 bytes (half precision)
    hours      of each operation's FLOPs and bytes (kernels.py); the paper's 16 A100 for 1.5 days are 576

The lengths of texts are assumptions, the same for every row, as after padding: FLOPs follow the mean ones,
memory the longest, because a batch of one dataset may be full of them.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.weak import WeakIdKeyDictionary
from transformers import AutoConfig, InstructBlipConfig, InstructBlipForConditionalGeneration

from workbench.batch import Batch
from workbench.config import Config, Model
from workbench.data.tokens import PROMPT_TOKENS, TARGET_TOKENS
from workbench.experiment.operations import Operations
from workbench.experiment.record import RunError, start_folder
from workbench.model.instructblip import InstructBlip
from workbench.model.language import EncoderDecoder
from workbench.model.sizes import hollow, language_models, paper_config, small_config
from workbench.search.kernels import Kernels, Work, tensors

ADAM_BYTES = 8  # two fp32 moments per trained parameter


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of an instruction, for both its readers, and of an answer with its end token."""

    prompt: int = 32
    answer: int = 16

    def within(self, architecture: InstructBlipConfig) -> Lengths:
        """These lengths, cut to what a Q-Former with fewer positions could read."""
        reader: Any = architecture.qformer_config
        return replace(self, prompt=min(self.prompt, reader.max_position_embeddings))


LONGEST = Lengths(PROMPT_TOKENS, TARGET_TOKENS)  # what is longer is cut


@dataclass(frozen=True, slots=True)
class Cost:
    """What training takes.

    Attributes:
        parameters: of vision, language, qformer (with queries and projection).
        trained: how many of them are trained.
        example_flops: forward and backward of one example, from its features on.
        picture_flops: of the vision encoder, once for each picture.
        feature_bytes: of one picture in the store.
    """

    parameters: dict[str, int]
    trained: int
    example_flops: float
    picture_flops: float
    feature_bytes: int


def architecture(config: Config, root: Path, preset: str) -> InstructBlipConfig:
    """The configuration of the start, or of the model that the preset is named after.

    Raises:
        RunError: when neither tells.
    """
    folder = root / config.model.start / f"blip2-{config.model.language_model}"
    if (folder / "config.json").is_file():
        start_folder(config, root)  # is it the one that model.checkpoint means?
        return AutoConfig.from_pretrained(folder)
    name = preset.removeprefix("paper-")
    if name in language_models():
        return paper_config(name)
    if name == "small":
        return small_config()
    raise RunError(f"{folder} has no config.json, so its size is not known; run `workbench start` first")


@dataclass(frozen=True, slots=True)
class MicroBatch:
    """What so many examples at once take.

    Attributes:
        memory: bytes at the peak of training.
        work: the operations of forward and backward; AdamW's are few beside them.
    """

    memory: float
    work: Work


def micro_batch(
    architecture: InstructBlipConfig, config: Config, rows: int, lengths: Lengths, on_gpu: bool = True
) -> MicroBatch:
    """Counts a micro-batch of so many examples; one in 8 bits as one in 32, its memory apart.

    Args:
        on_gpu: where attention keeps no probabilities, but a T5's does, as if no fused kernel would take
            the positions that it adds to the scores (steps in full size held as much); else as
            `InstructBlip` chooses on a CPU.
    """
    step = _step(architecture, config, rows, lengths, "fp32" if on_gpu else config.train.precision, on_gpu)
    # 8 bits are counted as fp32, of which the language model's matrices take a quarter
    saved = 3 * _matrices(architecture) if config.model.frozen_precision == "int8" else 0
    crops = 0
    if config.data.training_crop:  # a second vision encoder, in fp32
        crops = 4 * sum(p.numel() for p in hollow(architecture).vision_model.parameters())
    return MicroBatch(step.peak + ADAM_BYTES * step.trained - saved + crops, step.work)


def count(architecture: InstructBlipConfig, config: Config, lengths: Lengths) -> Cost:
    """Counts an example of this architecture with the configuration's switches."""
    # what fused attention does on a CPU torch does not count, so operations are counted without it
    step = _step(architecture, config, 1, lengths, "bf16")
    meta = hollow(copy.deepcopy(architecture))
    with _imagined():
        model = _model(meta, config.model)
        parts = {"vision": model.hf.vision_model, "language": model.hf.language_model}
        sizes = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
        sizes["qformer"] = sum(p.numel() for p in model.hf.parameters()) - sum(sizes.values())
        seen = model.hf.vision_model
        side, tokens = seen.config.image_size, seen.embeddings.num_positions
        seen.set_attn_implementation("eager")
        with Operations() as counter, torch.no_grad():
            seen.encoder(inputs_embeds=seen.embeddings(torch.zeros(1, 3, side, side)))
    return Cost(
        parameters=sizes,
        trained=step.trained,
        example_flops=sum(step.work.flops),
        picture_flops=float(counter.total),
        feature_bytes=tokens * seen.config.hidden_size * 2,
    )


class Peak(TorchDispatchMode):
    """The most bytes that tensors hold at once in the block, those of a model among them.

    Attributes:
        peak: bytes of distinct storages.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.peak = self._held = 0
        self._known = WeakIdKeyDictionary()
        for tensor in (*model.parameters(), *model.buffers()):
            self._see(tensor)

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Runs the operation and looks at what came out."""
        out = func(*args, **(kwargs or {}))
        for tensor in tensors(out):
            self._see(tensor)
        return out

    def _see(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        if storage not in self._known:
            self._known[storage] = size = storage.nbytes()
            weakref.finalize(storage, self._gone, size)
            self._held += size
            self.peak = max(self.peak, self._held)

    def _gone(self, size: int) -> None:
        self._held -= size


@dataclass(frozen=True, slots=True)
class _Step:
    peak: float
    trained: int
    work: Work


def _step(
    architecture: InstructBlipConfig,
    config: Config,
    rows: int,
    lengths: Lengths,
    attention_of: Literal["fp32", "bf16"],
    probabilities_of_t5: bool = False,
) -> _Step:
    """One forward and backward pass of a micro-batch, with the attention of a precision on CPUs."""
    meta = hollow(copy.deepcopy(architecture))  # the choice of attention is written into it
    with _imagined():
        model = _model(meta, config.model)
        model.prepare_training(attention_of, config.train.gradient_checkpointing)
        model.train()
        batch = _batch(model, rows, lengths)
        tracker = Peak(model)  # torch's FlopCounterMode beside it would keep what checkpointing lets go
        half = torch.autocast("cpu", torch.bfloat16, enabled=config.train.precision == "bf16")
        with tracker, Kernels() as kernels, half:
            _loss(model, batch, probabilities_of_t5).backward()
    trained = sum(p.numel() for p in model.trainable().values())
    return _Step(float(tracker.peak), trained, kernels.work)


@contextmanager
def _imagined() -> Iterator[None]:
    """Tensors made in here have shape and type but no contents."""
    with FakeTensorMode(allow_non_fake_inputs=True):
        yield


def _model(hf: InstructBlipForConditionalGeneration, switches: Model) -> InstructBlip:
    """The wrapped model, its weights taken from the meta device to the CPU; shared ones stay shared."""
    moved: dict[Tensor, Tensor] = {}
    for module in hf.modules():
        stores: tuple[Any, ...] = (module._parameters, module._buffers)
        for held in stores:
            for name, tensor in held.items():
                if tensor is not None and tensor not in moved:
                    fresh = torch.empty(tensor.shape, dtype=tensor.dtype)
                    moved[tensor] = nn.Parameter(fresh) if isinstance(tensor, nn.Parameter) else fresh
                if tensor is not None:
                    held[name] = moved[tensor]
    whole = replace(switches, frozen_precision="fp32") if switches.frozen_precision == "int8" else switches
    return InstructBlip(hf, whole, Path())


def _batch(model: InstructBlip, rows: int, lengths: Lengths) -> Batch:
    vision = model.hf.vision_model
    prompt = torch.ones(rows, lengths.prompt, dtype=torch.long)
    answer = torch.ones(rows, lengths.answer, dtype=torch.long)
    features = torch.zeros(rows, 1, vision.embeddings.num_positions, vision.config.hidden_size)
    return Batch(
        features, prompt, prompt, prompt, prompt, examples=(), instructions=(),
        target_ids=answer, target_mask=answer,
    )  # fmt: skip


def _loss(model: InstructBlip, batch: Batch, probabilities_of_t5: bool) -> Tensor:
    """`InstructBlip.forward` where every row is full: which tokens are real cannot be asked in here."""
    assert batch.target_ids is not None
    assert batch.target_mask is not None
    embeds, mask = model.inputs(batch)
    kept = probabilities_of_t5 and isinstance(model.language, EncoderDecoder)
    with sdpa_kernel(SDPBackend.MATH) if kept else nullcontext():
        states = model.language.answer_states(embeds, mask, batch.target_ids, batch.target_mask)
    logits = model.language.logits(states.flatten(0, 1))
    return functional.cross_entropy(logits, batch.target_ids.flatten(), reduction="sum")


def _matrices(architecture: InstructBlipConfig) -> int:
    """Weights of the language model's linear layers, its output layer apart: what is held in 8 bits."""
    language = hollow(architecture).language_model
    layers = ((name, m) for name, m in language.named_modules() if isinstance(m, nn.Linear))
    return sum(layer.weight.numel() for name, layer in layers if "lm_head" not in name)
