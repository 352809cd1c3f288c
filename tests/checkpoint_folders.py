"""Folders and files that starts are made of, in small dimensions; `import checkpoint_folders`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import small_world
import tiny
import torch
from transformers import (
    BertConfig,
    BertModel,
    Blip2Config,
    Blip2ForConditionalGeneration,
    Blip2ForImageTextRetrieval,
    Dinov2Config,
    Dinov2Model,
    InstructBlipForConditionalGeneration,
    LlamaConfig,
    LlamaForCausalLM,
    OPTConfig,
    PreTrainedModel,
    T5ForConditionalGeneration,
    ViTConfig,
    ViTModel,
)

from workbench.model.checkpoint import assemble
from workbench.model.sources import read

PIXELS = {"image_mean": [0.4, 0.5, 0.6], "image_std": [0.2, 0.3, 0.4], "resample": 3}


def randomised(model: PreTrainedModel, seed: int) -> PreTrainedModel:
    """Every weight is drawn, biases and norms too, so that none may be lost unnoticed."""
    draw = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        noise = torch.randn(parameter.shape, generator=draw) * 0.2
        parameter.data = noise + ("norm" in name.lower() and name.endswith("weight"))
    return model.eval()


def letters(folder: Path, kind: str) -> None:
    """A tokenizer of single characters: t5, llama (with <s>) or bert."""
    if kind == "bert":
        reader = small_world.letters(["[PAD]", "[UNK]", "[CLS]", "[SEP]"], tiny.QFORMER_VOCABULARY)
        reader.backend_tokenizer.post_processor = small_world.processors.TemplateProcessing(
            single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
        reader.save_pretrained(folder)
        return
    special = ["<pad>", "</s>", "<unk>"] + ["<s>"] * (kind == "llama")
    tokenizer = small_world.letters(special, 90)
    if kind == "llama":
        tokenizer.bos_token = "<s>"
    tokenizer.save_pretrained(folder)


def whole(
    folder: Path, family: tiny.Family, seed: int = 1, positions: int = 64
) -> InstructBlipForConditionalGeneration:
    """An InstructBLIP as the hub has it: tokenizer in the folder, the Q-Former's below it."""
    parts = folder.with_name(folder.name + "-parts")
    model = randomised(tiny.fresh(parts, family, positions=positions), seed)
    model.save_pretrained(folder)
    letters(folder, family)
    letters(folder / "qformer_tokenizer", "bert")
    (folder / "preprocessor_config.json").write_text(json.dumps(PIXELS))
    return model


def blip2(folder: Path, family: tiny.Family, seed: int = 2) -> Blip2ForConditionalGeneration:
    """A BLIP-2 of stage 2 as the hub has it: no text path and no tokenizer for one."""
    config = _blip2_config(folder, family, reads=False)
    return _blip2(folder, randomised(Blip2ForConditionalGeneration(config), seed), family)


def opt(folder: Path, end: int) -> Blip2ForConditionalGeneration:
    """A BLIP-2 around an OPT, which ends in another token than its tokenizer says."""
    config = _blip2_config(folder, "llama", reads=False)
    config.text_config = OPTConfig(
        vocab_size=tiny.VOCABULARY, hidden_size=tiny.WIDTH, ffn_dim=64, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=256, word_embed_proj_dim=tiny.WIDTH,
        pad_token_id=0, bos_token_id=1, eos_token_id=end,
    )  # fmt: skip
    return _blip2(folder, randomised(Blip2ForConditionalGeneration(config), 8), "t5")


def stage_one(folder: Path) -> Blip2ForImageTextRetrieval:
    """A BLIP-2 of stage 1 as Salesforce/blip2-itm-vit-g: text embeddings beside the Q-Former, heads."""
    config = _blip2_config(folder, "t5", reads=True)
    config.image_text_hidden_size = 16
    return _blip2(folder, randomised(Blip2ForImageTextRetrieval(config), 9), "bert")


def _blip2_config(folder: Path, family: tiny.Family, reads: bool) -> Blip2Config:
    like = tiny.fresh(folder.with_name(folder.name + "-parts"), family).config
    qformer = {k: v for k, v in like.qformer_config.to_dict().items() if k != "model_type"}
    return Blip2Config(
        vision_config={**like.vision_config.to_dict(), "model_type": "blip_2_vision_model"},
        qformer_config={**qformer, "use_qformer_text_input": reads},
        text_config=like.text_config.to_dict(),
        num_query_tokens=tiny.QUERIES,
        image_token_index=tiny.IMAGE,
    )


def _blip2(folder: Path, model: Any, tokens: str) -> Any:
    model.save_pretrained(folder)
    letters(folder, tokens)
    (folder / "preprocessor_config.json").write_text(json.dumps(PIXELS))
    return model


def bert(folder: Path, seed: int = 3) -> BertModel:
    """A BERT of the tiny Q-Former's size."""
    config = BertConfig(
        vocab_size=tiny.QFORMER_VOCABULARY, hidden_size=tiny.WIDTH, num_hidden_layers=2,
        num_attention_heads=4, intermediate_size=64, max_position_embeddings=64,
    )  # fmt: skip
    model = randomised(BertModel(config), seed)
    model.save_pretrained(folder)
    letters(folder, "bert")
    return model


def dinov2(folder: Path, seed: int = 4) -> Dinov2Model:
    """A DINOv2 trained on pictures of 280 pixels, with biases and layer scale that matter."""
    config = Dinov2Config(
        hidden_size=tiny.WIDTH, num_hidden_layers=2, num_attention_heads=4, mlp_ratio=2, image_size=280,
        patch_size=28, layer_norm_eps=1e-6,
    )  # fmt: skip
    return _vision(folder, randomised(Dinov2Model(config), seed))


def vit(folder: Path, seed: int = 5) -> ViTModel:
    """A ViT for small pictures."""
    config = ViTConfig(
        hidden_size=tiny.WIDTH, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
        image_size=tiny.IMAGE_SIZE, patch_size=tiny.PATCH,
    )  # fmt: skip
    return _vision(folder, randomised(ViTModel(config), seed))


def _vision(folder: Path, model: PreTrainedModel) -> PreTrainedModel:
    model.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps({**PIXELS, "do_center_crop": True}))
    return model


def llama(folder: Path, seed: int = 6) -> LlamaForCausalLM:
    """A Llama with tied embeddings and grouped keys, as SmolLM2 has them, and no pad token."""
    config = LlamaConfig(
        vocab_size=tiny.VOCABULARY, hidden_size=tiny.WIDTH, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True,
    )  # fmt: skip
    model = randomised(LlamaForCausalLM(config), seed)
    model.save_pretrained(folder)
    letters(folder, "llama")
    return model


def vicuna(folder: Path, seed: int = 7) -> LlamaForCausalLM:
    """A Llama as lmsys/vicuna-7b-v1.1 is: a tokenizer.model alone, and no row beyond its tokens."""
    import sentencepiece

    folder.mkdir()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["the cat", "a red hat", "what is it?"]), vocab_size=285,
        model_prefix=str(folder / "tokenizer"), model_type="bpe", byte_fallback=True,
        hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    (folder / "tokenizer.vocab").unlink()
    tokens = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "LlamaTokenizer"} | tokens))
    (folder / "special_tokens_map.json").write_text(json.dumps(tokens))
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    config = LlamaConfig(
        vocab_size=len(pieces), hidden_size=tiny.WIDTH, intermediate_size=64, num_hidden_layers=2,
        num_attention_heads=4, pad_token_id=0,
    )  # fmt: skip
    model = randomised(LlamaForCausalLM(config), seed)
    model.save_pretrained(folder)
    return model


def t5(folder: Path) -> T5ForConditionalGeneration:
    """A T5 as FLAN-T5 is: its output layer is its own, though transformers makes it the embeddings."""
    tiny.language_folder(folder, "t5", tied=False)
    model = T5ForConditionalGeneration.from_pretrained(folder)
    own = torch.randn(model.lm_head.weight.shape, generator=torch.Generator().manual_seed(8))
    model.lm_head.weight = torch.nn.Parameter(own)
    model.save_pretrained(folder)
    letters(folder, "t5")
    return model


def make(root: Path, *sources: str, allow_pickle: bool = False) -> dict[str, Any]:
    """A start below `root` of the sources, and the account of it."""
    parts = [read(name, root, allow_pickle) for name in sources]
    return assemble(parts, tiny.QUERIES, root / "start")


def weights(folder: Path) -> dict[str, torch.Tensor]:
    """What plain transformers finds in a folder."""
    return InstructBlipForConditionalGeneration.from_pretrained(folder).state_dict()


def lavis(model: InstructBlipForConditionalGeneration, family: tiny.Family) -> dict[str, torch.Tensor]:
    """A model's trained parts and ViT under LAVIS' names; instruct_blip_*_trimmed.pth has the former."""
    renamed = {}
    for name, tensor in model.state_dict().items():
        if name.startswith("language_model."):
            continue
        name = name.replace("language_projection.", f"{'t5' if family == 't5' else 'llm'}_proj.")
        name = name.replace("vision_model.post_layernorm.", "ln_vision.")
        name = re.sub(r"^vision_model\.embeddings\.class_embedding", "visual_encoder.cls_token", name)
        name = re.sub(r"^vision_model\.embeddings\.position_embedding", "visual_encoder.pos_embed", name)
        name = name.replace("vision_model.embeddings.patch_embedding.", "visual_encoder.patch_embed.proj.")
        name = name.replace("vision_model.encoder.layers.", "visual_encoder.blocks.")
        name = name.replace(".self_attn.projection.", ".attn.proj.").replace(".self_attn.", ".attn.")
        name = re.sub(r"(visual_encoder.*)layer_norm([12])", r"\1norm\2", name)
        name = name.replace("qformer.embeddings.layernorm", "qformer.embeddings.LayerNorm")
        name = re.sub(r"^qformer\.", "Qformer.bert.", name)
        name = name.replace("attention.attention.", "attention.self.")
        if name.endswith("attn.qkv.bias"):
            width = len(tensor) // 3
            renamed[name.replace("qkv.bias", "q_bias")] = tensor[:width].clone()
            renamed[name.replace("qkv.bias", "v_bias")] = tensor[2 * width :].clone()
        else:
            renamed[name] = tensor.clone()
    return renamed
