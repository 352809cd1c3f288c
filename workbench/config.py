"""params.yaml as typed, frozen dataclasses: unknown keys and contradictions are refused at birth."""

from __future__ import annotations

import difflib
import math
import types
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, TypeVar

import yaml

Section = TypeVar("Section")


class ConfigError(ValueError):
    """A parameter is unknown, of the wrong type, out of range or contradicts another."""


@dataclass(frozen=True, slots=True)
class Data:
    """What the model learns from and is asked."""

    root: str = "data/official"  # the official files lie below it (suite official)
    datasets: tuple[str, ...] = ()  # the ones to prepare; empty means all
    world_seed: int = 2023  # every scene, question and annotator of the micro suite follows from it
    size_scale: float = 1.0  # multiplies the catalogue's training sizes
    eval_examples: int = 150  # per dataset and evaluation split, at most
    answer_vocabulary: int = 1000  # answers that MSVD-QA and MSRVTT-QA rank (suite official)
    allow_missing: bool = False  # leave out, and count, records without a sound picture, and few faulty ones
    held_in: tuple[str, ...] = ()  # the datasets to train on; empty means all held-in ones
    downstream: str = ""  # one dataset to train on instead, be it held out: fine-tuning (paper, Table 3)
    sampling: Literal["sqrt", "uniform", "proportional", "power"] = "sqrt"
    exponent: float = 0.5  # of sampling power: examples ** exponent; sqrt is .5, uniform 0, proportional 1
    factors: Mapping[str, float] = field(default_factory=dict)  # manual weights on top of the sampling
    mixing: Literal["batch", "example"] = "batch"  # one dataset per batch as in LAVIS, or one per example
    templates: str = "builtin"  # or the path of a YAML file: task -> list of templates
    training_crop: bool = False  # a random crop of each training picture, encoded anew at every step


@dataclass(frozen=True, slots=True)
class Model:
    """The InstructBLIP that is tuned, and what is switched off in it."""

    language_model: Literal["t5", "llama"] = "t5"
    start: str = "backbones/micro"  # folder with blip2-<language_model>, a transformers checkpoint
    checkpoint: tuple[str, ...] = ()  # what `workbench start` makes that folder of; see model/README.md
    allow_pickle: bool = False  # let checkpoint name .pth and .bin files, read as bare tensors
    instruction_aware: bool = True
    unaware_form: Literal["drop", "constant"] = "drop"  # no text path at all, or an empty instruction
    num_query_tokens: int = 9
    train_vision_layernorm: bool = True
    vision_layernorm_eps: float = 0.0  # of that layer norm; 0 is the start's own, LAVIS has 1e-5
    frozen_precision: Literal["fp32", "bf16", "int8"] = "fp32"  # what the frozen weights are held in


@dataclass(frozen=True, slots=True)
class Train:
    """The paper's recipe in shape (section 2.6 there), scaled in size."""

    seed: int = 1
    steps: int = 1000
    batch_size: int = 64
    accumulate_steps: int = 1  # micro-batches of batch_size / accumulate_steps each
    learning_rate: float = 1e-3  # peak
    warmup_start_rate: float = 1e-8
    warmup_steps: int = 50
    weight_decay: float = 0.05  # not on biases and norms
    betas: tuple[float, float] = (0.9, 0.999)
    eval_every_steps: int = 250
    checkpoint_every_steps: int = 100
    validation_examples: int = 32  # per held-in dataset
    precision: Literal["fp32", "bf16"] = "fp32"
    gradient_checkpointing: bool = False  # layers are computed again on the way back: less memory, more time


@dataclass(frozen=True, slots=True)
class Evaluate:
    """How a model is examined."""

    datasets: tuple[str, ...] = ()  # the ones to answer; empty means all
    split: Literal["val", "test"] = "test"
    batch_size: int = 64
    num_beams: int = 1  # the paper presets take 5
    repetition_penalty: float = 1.0  # divides the logits of tokens already said; LAVIS takes 1.5
    blind: bool = True  # also without the image


@dataclass(frozen=True, slots=True)
class Tracking:
    """Where MLflow listens."""

    uri: str = ""  # empty: sqlite at the repository root
    experiment: str = "instructblip"
    system_metrics_seconds: float = 5.0


@dataclass(frozen=True, slots=True)
class Config:
    """Everything that decides a result."""

    suite: Literal["micro", "official"] = "micro"
    workers: int = 2  # processes of prepare, tune or evaluate side by side; no result depends on it
    data: Data = field(default_factory=Data)
    model: Model = field(default_factory=Model)
    train: Train = field(default_factory=Train)
    evaluate: Evaluate = field(default_factory=Evaluate)
    tracking: Tracking = field(default_factory=Tracking)

    def __post_init__(self) -> None:
        check(self)

    def to_dict(self) -> dict[str, Any]:
        """Plain dicts, lists and scalars: what YAML and JSON can hold."""
        return typing.cast(dict[str, Any], _plain(self))


def check(config: Config) -> None:
    """Refuses values out of range and switches that contradict each other.

    Raises:
        ConfigError: naming the field and the remedy.
    """
    _ranges(config)
    data, model, train = config.data, config.model, config.train
    if train.batch_size % train.accumulate_steps:
        raise ConfigError(
            f"train.batch_size {train.batch_size} does not divide into train.accumulate_steps "
            f"{train.accumulate_steps} equal micro-batches"
        )
    if train.warmup_steps > train.steps:
        raise ConfigError(
            f"train.warmup_steps {train.warmup_steps} is longer than train.steps {train.steps}: "
            "the learning rate would never reach its peak"
        )
    if model.instruction_aware and model.unaware_form != "drop":
        raise ConfigError(
            f"model.unaware_form is {model.unaware_form!r} while model.instruction_aware is true: "
            "set model.instruction_aware=false as well, or leave unaware_form at drop"
        )
    if data.sampling != "power" and data.exponent != Data().exponent:
        raise ConfigError(
            f"data.exponent is {data.exponent} while data.sampling is {data.sampling!r}, which has its own: "
            "set data.sampling=power as well"
        )
    if data.downstream and data.held_in:
        raise ConfigError("data.downstream and data.held_in are both set; empty one of them")


def _ranges(config: Config) -> None:
    data, model, train = config.data, config.model, config.train
    positive = {
        "workers": config.workers,
        "data.size_scale": data.size_scale,
        "data.eval_examples": data.eval_examples,
        "data.answer_vocabulary": data.answer_vocabulary,
        "model.num_query_tokens": model.num_query_tokens,
        "train.steps": train.steps,
        "train.batch_size": train.batch_size,
        "train.accumulate_steps": train.accumulate_steps,
        "train.learning_rate": train.learning_rate,
        "train.eval_every_steps": train.eval_every_steps,
        "train.checkpoint_every_steps": train.checkpoint_every_steps,
        "train.validation_examples": train.validation_examples,
        "evaluate.batch_size": config.evaluate.batch_size,
        "evaluate.num_beams": config.evaluate.num_beams,
        "evaluate.repetition_penalty": config.evaluate.repetition_penalty,
        "tracking.system_metrics_seconds": config.tracking.system_metrics_seconds,
    }
    for name, value in positive.items():
        if not value > 0:
            raise ConfigError(f"{name} is {value}; it has to be above 0")
    not_negative = {
        "model.vision_layernorm_eps": model.vision_layernorm_eps,
        "train.warmup_start_rate": train.warmup_start_rate,
        "train.warmup_steps": train.warmup_steps,
        "train.weight_decay": train.weight_decay,
    }
    for name, value in not_negative.items():
        if not value >= 0:
            raise ConfigError(f"{name} is {value}; it cannot be negative")
    for value in train.betas:
        if not 0 <= value < 1:
            raise ConfigError(f"train.betas has {value}; both have to be 0 or more and below 1")
    for name, value in data.factors.items():
        if not value >= 0:
            raise ConfigError(f"data.factors.{name} is {value}; a weight cannot be negative")


def load(path: Path) -> Config:
    """Reads params.yaml.

    Raises:
        ConfigError: naming the file and the field.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"{path} does not exist; run from the repository root") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    try:
        return parse(raw or {})
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def parse(raw: Mapping[str, Any]) -> Config:
    """A Config from nested plain mappings; whatever is missing takes its default."""
    return _build(Config, raw, "")


def changed(config: Config, changes: Mapping[str, Any]) -> Config:
    """The config with dotted fields replaced: ``{"model.instruction_aware": False}``.

    Raises:
        ConfigError: for an unknown field or a value that does not fit.
    """
    raw = config.to_dict()
    for dotted, value in changes.items():
        node = raw
        *sections, last = dotted.split(".")
        for section in sections:
            if not isinstance(node.get(section), dict):
                raise ConfigError(f"{dotted}: there is no section {section!r}")
            node = node[section]
        node[last] = value
    return parse(raw)


def _build(cls: type[Section], raw: Any, where: str) -> Section:
    if not isinstance(raw, Mapping):
        raise ConfigError(f"{where or 'the file'} has to be a mapping, not {raw!r}")
    hints = typing.get_type_hints(cls)
    names = [f.name for f in fields(typing.cast(Any, cls))]
    values: dict[str, Any] = {}
    for key, value in raw.items():
        dotted = f"{where}.{key}" if where else str(key)
        if key not in names:
            near = difflib.get_close_matches(str(key), names, n=1)
            hint = f"did you mean {near[0]!r}?" if near else "known: " + ", ".join(names)
            raise ConfigError(f"unknown parameter {dotted!r}; {hint}")
        values[key] = _value(hints[key], value, dotted)
    return cls(**values)


def _value(hint: Any, value: Any, where: str) -> Any:
    """Checks a YAML value against a field's type; integers pass for floats, nothing else is bent."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if is_dataclass(hint):
        return _build(typing.cast(type[Any], hint), value, where)
    if origin is Literal:
        if value not in arguments or isinstance(value, bool):
            raise ConfigError(f"{where} is {value!r}; choose one of {', '.join(map(str, arguments))}")
        return value
    if origin is tuple:
        if not isinstance(value, list | tuple):
            raise ConfigError(f"{where} has to be a list, not {value!r}")
        if arguments[-1] is not Ellipsis and len(value) != len(arguments):
            raise ConfigError(f"{where} has to hold {len(arguments)} values, not {len(value)}")
        return tuple(_value(arguments[0], item, f"{where}[{i}]") for i, item in enumerate(value))
    if origin is not None and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise ConfigError(f"{where} has to be a mapping, not {value!r}")
        pairs = {str(key): _value(arguments[1], item, f"{where}.{key}") for key, item in value.items()}
        return types.MappingProxyType(pairs)
    if hint is float and isinstance(value, int | float | str) and not isinstance(value, bool):
        return _number(value, where)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise ConfigError(f"{where} has to be of type {hint.__name__}, not {value!r}")
    return value


def _number(value: int | float | str, where: str) -> float:
    """YAML 1.1 reads 1e-5 as text, and knows .inf and .nan."""
    try:
        number = float(value)
    except (ValueError, OverflowError):
        raise ConfigError(f"{where} has to be a number, not {value!r}") from None
    if not math.isfinite(number):
        raise ConfigError(f"{where} is {number}; it has to be a finite number")
    return number


def _plain(value: Any) -> Any:
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
