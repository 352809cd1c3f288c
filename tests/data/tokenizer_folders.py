"""Word-level tokenizer folders for tests, as transformers writes them."""

import json

from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import LlamaConfig, PreTrainedTokenizerFast, T5Config

WORDS = ("what", "colour", "is", "the", "cat", "red", "dark", "a", "?", "yes", "no")
QFORMER = {word: i for i, word in enumerate(("[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS))}
LANGUAGE = {word: i for i, word in enumerate(("<pad>", "</s>", "<s>", "<unk>", *reversed(WORDS)))}


def _fast(vocabulary, unknown, **special):
    words = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=words, unk_token=unknown, **special)


def qformer_tokenizer():
    fast = _fast(QFORMER, "[UNK]", pad_token="[PAD]", cls_token="[CLS]", sep_token="[SEP]")
    fast.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return fast


def language_tokenizer(**special):
    return _fast(LANGUAGE, "<unk>", **({"pad_token": "<pad>", "eos_token": "</s>"} | special))


def write_start(folder, family, own_folder=True):
    """A BLIP-2 start without weights: config.json and both tokenizers."""
    text = (T5Config() if family == "t5" else LlamaConfig()).to_dict()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps({"model_type": "instructblip", "text_config": text}))
    qformer_tokenizer().save_pretrained(folder / "qformer_tokenizer")
    special = {} if family == "t5" else {"bos_token": "<s>"}
    language_tokenizer(**special).save_pretrained(folder / "tokenizer" if own_folder else folder)
    return folder
