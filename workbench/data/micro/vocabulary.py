"""One vocabulary of whole words for every micro text model; unknown words are spelled in letters."""

from __future__ import annotations

import importlib
import re
import string
from collections.abc import Iterator
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from transformers import PreTrainedTokenizerFast

from workbench.data.catalog import CATALOG
from workbench.data.micro import corpus
from workbench.data.micro.concepts import CATEGORIES, CONCEPTS
from workbench.data.templates import vocabulary_lines

SPECIAL = ("[PAD]", "</s>", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "[DEC]", "<s>", "<image>")
UNUSED = 150  # entries for words of later datasets
# words of easy-VQA and of everyday questions that no micro dataset uses
EXTRA = (
    "circle rectangle triangle shape teal present contain contains not image does colour who when why it "
    "this photo picture them they we show shows say tell me about his her my its has have two three four "
    "five one"
).split()


def words() -> list[str]:
    """Every word that the catalogue's datasets use, read words with recognition errors apart."""
    found: set[str] = set(EXTRA)
    lines: list[str] = [*vocabulary_lines(), *corpus.HEADERS]
    lines += [concept.name for concept in CONCEPTS] + list(CATEGORIES)
    for entry in CATALOG:
        module = importlib.import_module(f"workbench.data.sources.{entry.name}")
        for example, _ in module.micro("train" if entry.held_in else "test", 1500, corpus.TEXT_SEED):
            lines += [*example.references, *example.candidates]
            lines += [text for name, text in example.fields.items() if name != "ocr"]
    for line in lines:
        found.update(re.findall(r"[a-z]+|[0-9]+|[^a-z0-9\s]", line.lower()))
    return sorted(found)


def tokenizer() -> Tokenizer:
    """WordPiece over `words`, lower-casing, with single letters and digits to fall back on."""
    letters = string.ascii_lowercase + string.digits + string.punctuation
    entries: list[str] = [*SPECIAL, *letters, *(f"##{letter}" for letter in letters)]
    entries += [word for word in words() if len(word) > 1]
    entries += [f"[unused{i}]" for i in range(UNUSED)]
    made = Tokenizer(models.WordPiece({entry: i for i, entry in enumerate(entries)}, unk_token="[UNK]"))
    made.normalizer = normalizers.BertNormalizer(lowercase=True)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece(cleanup=False)
    return made


def _fast(made: Tokenizer, **special: str) -> PreTrainedTokenizerFast:
    return PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="[PAD]", unk_token="[UNK]", mask_token="[MASK]", **special
    )


def language_tokenizer() -> PreTrainedTokenizerFast:
    """For T5 and Llama: <s> before a decoder's prompt, </s> after every answer."""
    fast = _fast(tokenizer(), eos_token="</s>", bos_token="<s>")
    fast.add_special_tokens({"additional_special_tokens": ["<image>"]})
    return fast


def qformer_tokenizer() -> PreTrainedTokenizerFast:
    """As BERT's, [CLS] text [SEP], with [DEC] to start generation (LAVIS blip2.py:31-34)."""
    made = tokenizer()
    ids = made.get_vocab()
    made.post_processor = processors.BertProcessing(("[SEP]", ids["[SEP]"]), ("[CLS]", ids["[CLS]"]))
    return _fast(made, cls_token="[CLS]", sep_token="[SEP]", bos_token="[DEC]")


def save(folder: Path) -> None:
    """Writes ``folder/tokenizer`` and ``folder/qformer_tokenizer``, as transformers' processors do."""
    language_tokenizer().save_pretrained(folder / "tokenizer")
    qformer_tokenizer().save_pretrained(folder / "qformer_tokenizer")


def lines() -> Iterator[str]:
    """The vocabulary, one entry a line, in the order of the ids."""
    vocabulary = tokenizer().get_vocab()
    yield from sorted(vocabulary, key=vocabulary.__getitem__)
