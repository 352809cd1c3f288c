"""One vocabulary of whole words: what it knows it keeps, what it does not know it spells."""

from __future__ import annotations

import string

import pytest
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from workbench.data.micro import vocabulary
from workbench.data.micro.concepts import CONCEPTS
from workbench.data.micro.sampling import WORDS
from workbench.data.templates import BUILTIN

KNOWN = (
    "a big red dog at the top left and a small blue cat",
    "what color is the giraffe ?",
    "how many pieces of clothing are there ?",
    "is there an avocado in the picture ?",
)


@pytest.fixture(scope="module", autouse=True)
def few_examples():
    """Words of 60 examples per dataset in place of 1500: collecting them all takes many seconds."""
    patch = pytest.MonkeyPatch()
    load = vocabulary.importlib.import_module

    class Brief:
        def __init__(self, module):
            self.module = module

        def micro(self, split, count, seed):
            return self.module.micro(split, min(count, 60), seed)

    patch.setattr(vocabulary.importlib, "import_module", lambda name: Brief(load(name)))
    collected = vocabulary.words()
    patch.undo()
    patch.setattr(vocabulary, "words", lambda: collected)
    yield collected
    patch.undo()


@pytest.fixture(scope="module")
def language(few_examples):
    return vocabulary.language_tokenizer()


@pytest.fixture(scope="module")
def qformer(few_examples):
    return vocabulary.qformer_tokenizer()


def test_words_are_those_of_concepts_templates_and_answers(few_examples):
    assert few_examples == sorted(set(few_examples))
    assert {concept.name for concept in CONCEPTS} <= set(few_examples)
    expected = {"caption", "options", "statement", "hateful", "yes", "left", "rectangle", "frame", "4"}
    assert expected <= set(few_examples)


@pytest.mark.parametrize("text", KNOWN)
def test_known_text_is_one_token_a_word_and_comes_back(language, text):
    ids = language(text).input_ids
    assert len(ids) == len(text.split())
    assert language.decode(ids) == text


def test_templates_hold_no_unknown_word(language):
    for lines in BUILTIN.values():
        for line in lines:
            pieces = language.tokenize(line.replace("{", "").replace("}", ""))
            assert not [piece for piece in pieces if piece.startswith("##")], line


@pytest.mark.parametrize("text", ["zyxwv", "Qxz99 dogx", string.ascii_letters + string.digits, "x" * 90])
def test_unknown_words_are_spelled(language, text):
    assert language.unk_token_id not in language(text).input_ids
    assert language.decode(language(text).input_ids).split() == text.lower().split()


def test_ascii_is_never_unknown(language, qformer):
    for tokenizer in (language, qformer):
        for character in string.printable:
            assert tokenizer.unk_token_id not in tokenizer(f"dog{character}z").input_ids, character
    assert language.unk_token_id in language("狗").input_ids


def test_words_on_plates_are_known_or_spelled(language):
    ids = language(" ".join(WORDS)).input_ids
    assert language.unk_token_id not in ids
    assert language.decode(ids) == " ".join(WORDS)


def test_special_tokens_are_where_each_model_expects_them(language, qformer):
    assert language("dog").input_ids == [language.convert_tokens_to_ids("dog")]
    assert (language.pad_token_id, language.eos_token, language.bos_token) == (0, "</s>", "<s>")
    assert "<image>" in language.all_special_tokens
    assert qformer.convert_ids_to_tokens(qformer("dog").input_ids) == ["[CLS]", "dog", "[SEP]"]
    assert qformer.bos_token == "[DEC]"
    ids = {language.convert_tokens_to_ids(token) for token in vocabulary.SPECIAL}
    assert len(ids) == len(vocabulary.SPECIAL)
    assert language.unk_token_id in ids


def test_both_share_their_ids_and_leave_room_for_later_words(language, qformer):
    assert language.get_vocab() == qformer.get_vocab()
    assert sorted(language.get_vocab().values()) == list(range(len(language)))
    assert sum(token.startswith("[unused") for token in language.get_vocab()) == vocabulary.UNUSED
    assert list(vocabulary.lines()) == language.convert_ids_to_tokens(list(range(len(language))))


def test_transformers_loads_what_is_saved(tmp_path, language, qformer):
    vocabulary.save(tmp_path)
    text = f"{KNOWN[0]} zyxwv"
    for folder, made in (("tokenizer", language), ("qformer_tokenizer", qformer)):
        for loader in (AutoTokenizer, PreTrainedTokenizerFast):
            loaded = loader.from_pretrained(tmp_path / folder)
            assert loaded(text).input_ids == made(text).input_ids
            assert loaded.special_tokens_map == made.special_tokens_map
            assert loaded.decode(made(text).input_ids) == made.decode(made(text).input_ids)
