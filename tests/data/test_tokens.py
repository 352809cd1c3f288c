import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizer_folders import LANGUAGE, QFORMER, WORDS, language_tokenizer, qformer_tokenizer, write_start

from workbench.data.tokens import Tokenizers

TEXT = "what colour is the cat ?"
CLS, SEP, END, BEGIN = 2, 3, 1, 2
QFORMER_TEXT = tuple(QFORMER[word] for word in TEXT.split())
LANGUAGE_TEXT = tuple(LANGUAGE[word] for word in TEXT.split())


@pytest.fixture(scope="module", params=["t5", "llama"])
def tokenizers(request, tmp_path_factory):
    return Tokenizers.load(write_start(tmp_path_factory.mktemp("start"), request.param))


def test_the_family_is_read_from_the_config(tokenizers, request):
    assert tokenizers.decoder_only == ("llama" in request.node.name)


def test_each_text_has_its_special_tokens(tokenizers):
    assert tokenizers.qformer_ids(TEXT) == (CLS, *QFORMER_TEXT, SEP)
    prompt = (BEGIN, *LANGUAGE_TEXT) if tokenizers.decoder_only else (*LANGUAGE_TEXT, END)
    assert tokenizers.prompt_ids(TEXT) == prompt
    assert tokenizers.target_ids(TEXT) == (*LANGUAGE_TEXT, END)


def test_an_empty_instruction_leaves_special_tokens_only(tokenizers):
    assert tokenizers.qformer_ids("") == (CLS, SEP)
    assert tokenizers.prompt_ids("") == ((BEGIN,) if tokenizers.decoder_only else (END,))
    assert tokenizers.target_ids("") == (END,)


@given(st.lists(st.sampled_from(WORDS), max_size=600))
@settings(max_examples=30, deadline=None)
def test_long_texts_keep_the_end_of_an_instruction_and_the_beginning_of_a_target(tokenizers, words):
    text = " ".join(words)
    qformer, language = [QFORMER[word] for word in words], [LANGUAGE[word] for word in words]
    assert tokenizers.qformer_ids(text) == (CLS, *qformer[-126:], SEP)
    for prompt, most in ((tokenizers.prompt_ids, 127), (tokenizers.asked_ids, 511)):
        ends = (BEGIN, *language[-most:]) if tokenizers.decoder_only else (*language[-most:], END)
        assert prompt(text) == ends
    assert tokenizers.target_ids(text) == (*language[:255], END)


def test_without_a_beginning_token_none_is_put_before_a_prompt():
    bare = Tokenizers(qformer_tokenizer(), language_tokenizer(), decoder_only=True)
    assert bare.prompt_ids(TEXT) == LANGUAGE_TEXT


def test_decoding_drops_special_tokens(tokenizers):
    assert tokenizers.decode([tokenizers.target_ids("red cat"), [0, 0, *LANGUAGE_TEXT[:1], 1]]) == [
        "red cat", "what",
    ]  # fmt: skip


def test_the_layout_of_transformers_processor_is_read_too(tmp_path):
    loaded = Tokenizers.load(write_start(tmp_path, "t5", own_folder=False))
    assert loaded.prompt_ids(TEXT) == (*LANGUAGE_TEXT, END)


@pytest.mark.parametrize(
    "missing", ["tokenizer/tokenizer.json", "qformer_tokenizer/tokenizer.json", "config.json"]
)
def test_a_folder_without_a_tokenizer_is_named(tmp_path, missing):
    folder = write_start(tmp_path / "blip2-t5", "t5")
    (folder / missing).unlink()
    with pytest.raises(ValueError, match=r"blip2-t5.* has no (tokenizer|config)\.json"):
        Tokenizers.load(folder)


def test_a_tokenizer_without_the_tokens_it_needs_is_refused():
    with pytest.raises(ValueError, match="no pad token"):
        Tokenizers(qformer_tokenizer(), language_tokenizer(pad_token=None), decoder_only=True)
    with pytest.raises(ValueError, match="no end token"):
        Tokenizers(qformer_tokenizer(), language_tokenizer(eos_token=None), decoder_only=True)
    with pytest.raises(ValueError, match="adds no special tokens"):
        Tokenizers(language_tokenizer(), language_tokenizer(), decoder_only=True)
