"""The initial circuit is there: local heads look at a neighbour, the others at the same token elsewhere."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSeq2SeqLM,
    InstructBlipQFormerConfig,
    InstructBlipQFormerModel,
    LlamaConfig,
    LlamaForCausalLM,
    T5Config,
)
from transformers import T5ForConditionalGeneration as T5

from workbench.model.associative_init import (
    LLAMA_OFFSETS,
    T5_OFFSETS,
    initialise_llama,
    initialise_looking,
    initialise_t5,
    orthonormal,
)

VOCABULARY, LENGTH, FIRST, AGAIN = 60, 24, 6, 20


def t5(heads=6, **changes):
    torch.manual_seed(1)
    config = T5Config(
        vocab_size=VOCABULARY, d_model=64, d_kv=16, d_ff=64, num_layers=2, num_decoder_layers=1,
        num_heads=heads, decoder_start_token_id=0, relative_attention_num_buckets=32,
        relative_attention_max_distance=128, dropout_rate=0.0, attn_implementation="eager", **changes,
    )  # fmt: skip
    return T5(config).eval()


def llama(heads=6, **changes):
    torch.manual_seed(1)
    fields = {"attention_bias": True, "num_key_value_heads": heads} | changes
    config = LlamaConfig(
        vocab_size=VOCABULARY, hidden_size=96, intermediate_size=96, num_hidden_layers=2,
        num_attention_heads=heads, head_dim=48, tie_word_embeddings=False,
        attn_implementation="eager", **fields,
    )  # fmt: skip
    return LlamaForCausalLM(config).eval()


def initialised(family):
    model = t5() if family == "t5" else llama()
    (initialise_t5 if family == "t5" else initialise_llama)(model)
    return model


@torch.no_grad()
def attention(model):
    """(texts, heads, L, L) of the first layer over random texts in which one token occurs twice."""
    draw = torch.Generator().manual_seed(2)
    ids = torch.stack([torch.randperm(VOCABULARY - 3, generator=draw)[:LENGTH] + 3 for _ in range(32)])
    ids[:, AGAIN] = ids[:, FIRST]
    reader = model.encoder if isinstance(model, T5) else model
    return reader(input_ids=ids, output_attentions=True).attentions[0]


@pytest.mark.parametrize(("family", "local"), [("t5", len(T5_OFFSETS)), ("llama", len(LLAMA_OFFSETS))])
def test_matching_heads_find_the_earlier_occurrence(family, local):
    found = attention(initialised(family))[:, local:, AGAIN, FIRST].mean(0)
    assert (found > 5 / LENGTH).all(), found
    before = attention(t5() if family == "t5" else llama())[:, local:, AGAIN, FIRST].mean(0)
    assert (found > 3 * before).all()


@pytest.mark.parametrize(("family", "local"), [("t5", len(T5_OFFSETS)), ("llama", len(LLAMA_OFFSETS))])
def test_matching_heads_prefer_the_occurrence_elsewhere_to_the_token_itself(family, local):
    found = attention(initialised(family))[:, local:, AGAIN].mean(0)
    assert (found[:, FIRST] > 3 * found[:, AGAIN]).all()


@pytest.mark.parametrize(
    ("family", "offsets"), [("t5", T5_OFFSETS), ("llama", tuple(-offset for offset in LLAMA_OFFSETS))]
)
def test_local_heads_look_at_their_neighbour(family, offsets):
    weights = attention(initialised(family)).mean(0)
    for head, offset in enumerate(offsets):
        nearby = {d: weights[head].diagonal(d).mean() for d in (-4, -3, -2, -1, 0, 1, 2, 3, 4)}
        assert max(nearby, key=nearby.get) == offset
        assert nearby[offset] > 5 / LENGTH


def test_value_and_output_copy_what_they_see():
    attention_of = initialised("t5").encoder.block[0].layer[0].SelfAttention
    head = attention_of.o.weight[:, :16] @ attention_of.v.weight[:16]
    assert torch.allclose(head @ head, head, atol=1e-5)  # a projection
    assert torch.linalg.matrix_rank(head) == 16


def test_rows_are_orthonormal():
    basis = orthonormal(5, 12)
    assert torch.allclose(basis @ basis.T, torch.eye(5), atol=1e-5)


@pytest.mark.parametrize("family", ["t5", "llama"])
def test_the_result_is_an_ordinary_model(tmp_path, family):
    model = initialised(family)
    model.save_pretrained(tmp_path)
    kind = AutoModelForSeq2SeqLM if family == "t5" else AutoModelForCausalLM
    loaded, report = kind.from_pretrained(tmp_path, output_loading_info=True, attn_implementation="eager")
    assert not report["missing_keys"]
    assert not report["unexpected_keys"]
    ids = torch.arange(3, 11)[None]
    labels = {"labels": ids} if family == "t5" else {}
    with torch.no_grad():
        assert torch.equal(loaded(input_ids=ids, **labels).logits, model(input_ids=ids, **labels).logits)


def test_models_that_cannot_hold_the_circuit_are_refused():
    with pytest.raises(ValueError, match="4 heads are too few: 4 look at neighbours"):
        initialise_t5(t5(heads=4))
    for wrong in (llama(heads=4), llama(attention_bias=False), llama(num_key_value_heads=2)):
        with pytest.raises(ValueError, match="attention_bias, equal key and query heads and more than 4"):
            initialise_llama(wrong)


def qformer(width=64, heads=2):
    torch.manual_seed(2)
    config = InstructBlipQFormerConfig(
        vocab_size=20, hidden_size=width, num_hidden_layers=2, num_attention_heads=heads,
        intermediate_size=64, encoder_hidden_size=width, cross_attention_frequency=2, pad_token_id=0,
    )  # fmt: skip
    config._attn_implementation = "eager"  # which returns what it looked at
    return InstructBlipQFormerModel(config).eval(), torch.nn.Parameter(torch.zeros(1, 4, width))


def pictures(width=64, count=300):
    """Pictures of 16 patches that say where they lie and hold random things; and each patch's place of 4."""
    torch.manual_seed(3)
    where = torch.randn(16, width)
    seen = torch.cat([torch.zeros(count, 1, width), where + 0.5 * torch.randn(count, 16, width)], 1)
    return torch.nn.functional.layer_norm(seen, (width,)), torch.arange(16) // 4


def test_each_query_starts_by_looking_at_its_place():
    model, queries = qformer()
    seen, place = pictures()
    initialise_looking(model, queries, seen[:200], place)
    asked = model.embeddings.layernorm(queries).expand(100, -1, -1)
    looks = model.encoder.layer[0].crossattention.attention
    with torch.no_grad():
        _, weights = looks(asked, encoder_hidden_states=seen[200:])
    own = [weights[:, :, k, 1:][..., place == k].sum(-1).mean() for k in range(4)]
    assert min(own) > 0.9
    assert torch.equal(looks.value.weight, torch.eye(64))  # what is seen there comes out as it is


def test_a_qformer_too_narrow_for_its_places_is_refused():
    model, queries = qformer(width=32, heads=16)
    seen, place = pictures(width=32)
    with pytest.raises(ValueError, match="4 places need heads as wide as that"):
        initialise_looking(model, queries, seen, place)
