"""Text to token ids, by the two tokenizers of a BLIP-2 start: the Q-Former's and the language model's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache, partial
from pathlib import Path

from transformers import AutoConfig, PreTrainedTokenizerFast

# LAVIS blip2_t5_instruct.py / blip2_vicuna_instruct.py: max_txt_len and max_output_txt_len
QFORMER_TOKENS = 128  # truncated left
PROMPT_TOKENS = 128  # in training, truncated left
TARGET_TOKENS = 256  # truncated right, the end token always kept
# LAVIS cuts no prompt of the language model when it generates or ranks; a limit bounds what one text can take
ASKED_TOKENS = 512  # truncated left
_CACHED_TEXTS = 1 << 16  # instructions repeat: templates, candidate lists, evaluation of many arms

Ids = tuple[int, ...]


class Tokenizers:
    """The two tokenizers and the conventions of their special tokens.

    Attributes:
        qformer, language: transformers' fast tokenizers.
        decoder_only: whether prompts are padded on the left and begin with the beginning-of-text
            token, as Llama's are; otherwise they end in the end token, as T5's do.
        qformer_ids, prompt_ids, asked_ids, target_ids: text -> ids, cached. Q-Former text has the tokenizer's
            own special tokens, so that an empty instruction is [CLS] [SEP]; prompts are the language model's
            instructions in training, asked ones those to be answered; targets end in the end token.
    """

    def __init__(
        self, qformer: PreTrainedTokenizerFast, language: PreTrainedTokenizerFast, decoder_only: bool
    ) -> None:
        """
        Raises:
            ValueError: when a tokenizer lacks the special tokens that padding, ending or an empty
                instruction need.
        """
        for name, tokenizer in (("Q-Former", qformer), ("language model", language)):
            if tokenizer.pad_token_id is None:
                raise ValueError(
                    f"the {name}'s tokenizer {tokenizer.name_or_path} has no pad token; "
                    "set pad_token in its tokenizer_config.json"
                )
        if language.eos_token_id is None:
            raise ValueError(
                f"the language model's tokenizer {language.name_or_path} has no end token; "
                "set eos_token in its tokenizer_config.json"
            )
        if not qformer("").input_ids:
            raise ValueError(
                f"the Q-Former's tokenizer {qformer.name_or_path} adds no special tokens, so an empty "
                "instruction would leave nothing to read; give it a [CLS] [SEP] post-processor"
            )
        qformer.truncation_side = "left"  # the end of an instruction says most about what is asked
        self.qformer, self.language, self.decoder_only = qformer, language, decoder_only
        cached: Callable[[Callable[[str], Ids]], Callable[[str], Ids]] = lru_cache(maxsize=_CACHED_TEXTS)
        self.qformer_ids = cached(self._qformer_ids)
        self.prompt_ids = cached(partial(self._prompt_ids, most=PROMPT_TOKENS))
        self.asked_ids = cached(partial(self._prompt_ids, most=ASKED_TOKENS))
        self.target_ids = cached(self._target_ids)

    @classmethod
    def load(cls, folder: Path) -> Tokenizers:
        """From a BLIP-2 or InstructBLIP folder.

        The language model's tokenizer lies in ``tokenizer/`` or, where transformers'
        InstructBlipProcessor puts it, in the folder itself; the Q-Former's in ``qformer_tokenizer/``.

        Raises:
            ValueError: naming the folder, when a tokenizer or config.json is missing.
        """
        if not (folder / "config.json").is_file():
            raise ValueError(f"{folder} has no config.json; let model.start name a BLIP-2 start")
        text_config = AutoConfig.from_pretrained(folder).text_config
        own = folder / "tokenizer"
        return cls(
            _tokenizer(folder / "qformer_tokenizer"),
            _tokenizer(own if own.is_dir() else folder),
            decoder_only=not text_config.is_encoder_decoder,
        )

    def decode(self, rows: Iterable[Iterable[int]]) -> list[str]:
        """Generated ids as text, without special tokens and outer white space."""
        texts = self.language.batch_decode([list(row) for row in rows], skip_special_tokens=True)
        return [text.strip() for text in texts]

    def _qformer_ids(self, text: str) -> Ids:
        return tuple(self.qformer(text, truncation=True, max_length=QFORMER_TOKENS).input_ids)

    def _prompt_ids(self, text: str, most: int) -> Ids:
        first, last = self.language.bos_token_id, self.language.eos_token_id
        ids = _ids(self.language, text)
        if not self.decoder_only:
            return (*ids[1 - most :], last)
        return ids[-most:] if first is None else (first, *ids[1 - most :])

    def _target_ids(self, text: str) -> Ids:
        return (*_ids(self.language, text)[: TARGET_TOKENS - 1], self.language.eos_token_id)


def _ids(tokenizer: PreTrainedTokenizerFast, text: str) -> Ids:
    return tuple(tokenizer(text, add_special_tokens=False).input_ids)


def _tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    if not (folder / "tokenizer.json").is_file():
        raise ValueError(
            f"{folder} has no tokenizer.json; save the model's tokenizer there with save_pretrained"
        )
    return PreTrainedTokenizerFast.from_pretrained(folder)
