import pytest
import torch
from tokenizer_folders import LANGUAGE, language_tokenizer, qformer_tokenizer

from workbench.data.collate import Collator
from workbench.data.tokens import Tokenizers
from workbench.records import Example

N, V = 5, 3


class Store:
    """Features that say which picture they are of."""

    blank = torch.full((N, V), -1.0)

    def take(self, refs):
        return torch.stack([torch.full((N, V), float(ref)) for ref in refs])


def example(number, frames=1, candidates=()):
    images = tuple(str(10 * number + frame) for frame in range(frames))
    return Example("vqav2", f"q{number}", f"i{number}", images, ("yes",), candidates=candidates)


def collator(decoder_only=False, form="text"):
    bos = {"bos_token": "<s>"} if decoder_only else {}
    return Collator(Tokenizers(qformer_tokenizer(), language_tokenizer(**bos), decoder_only), Store(), form)


def ids(*words):
    return [LANGUAGE[word] for word in words]


def test_a_training_batch_by_hand():
    batch = collator().train([example(1), example(2)], ["red cat", "cat"], ["yes", "a red cat"])
    assert batch.features.shape == (2, 1, N, V)
    assert batch.features[:, 0, 0, 0].tolist() == [10, 20]
    assert batch.prompt_ids.tolist() == [ids("red", "cat", "</s>"), ids("cat", "</s>", "<pad>")]
    assert batch.prompt_mask.tolist() == [[1, 1, 1], [1, 1, 0]]
    assert batch.target_ids.tolist() == [ids("yes", "</s>", "<pad>", "<pad>"), ids("a", "red", "cat", "</s>")]
    assert batch.target_mask.tolist() == [[1, 1, 0, 0], [1, 1, 1, 1]]
    assert batch.qformer_mask.tolist() == [[1, 1, 1, 1], [1, 1, 1, 0]]
    assert batch.instructions == ("red cat", "cat")
    assert [e.example_id for e in batch.examples] == ["q1", "q2"]
    assert batch.candidate_ids is None


def test_prompts_of_decoders_are_padded_on_the_left_and_targets_on_the_right():
    batch = collator(decoder_only=True).train([example(1), example(2)], ["red cat", ""], ["a cat", ""])
    assert batch.prompt_ids.tolist() == [ids("<s>", "red", "cat"), ids("<pad>", "<pad>", "<s>")]
    assert batch.prompt_mask.tolist() == [[1, 1, 1], [0, 0, 1]]
    assert batch.target_ids.tolist() == [ids("a", "cat", "</s>"), ids("</s>", "<pad>", "<pad>")]


@pytest.mark.parametrize("candidates", [(), ("yes", "no")])
def test_only_training_cuts_the_language_models_prompt_where_the_qformer_ends(candidates):
    asked = [example(1, candidates=candidates)]
    long = ["red " * 300]
    trained, answered = collator().train(asked, long, ["cat"]), collator().infer(asked, long)
    assert (trained.prompt_ids.shape[1], answered.prompt_ids.shape[1]) == (128, 301)
    assert trained.qformer_ids.shape[1] == answered.qformer_ids.shape[1] == 128


def test_the_constant_form_hides_the_instruction_from_the_qformer_alone():
    aware = collator().infer([example(1), example(2)], ["red cat", "cat"])
    constant = collator(form="empty").infer([example(1), example(2)], ["red cat", "cat"])
    assert constant.qformer_ids.tolist() == [[2, 3], [2, 3]]
    assert torch.equal(constant.prompt_ids, aware.prompt_ids)
    assert constant.instructions == aware.instructions


def test_candidates_are_distinct_and_know_their_rows():
    examples = [
        example(0, candidates=("yes", "no", "yes")),
        example(1),
        example(2, candidates=("a red cat",)),
    ]
    batch = collator().infer(examples, ["", "", ""])
    assert batch.candidate_owner.tolist() == [0, 0, 2]
    assert batch.candidate_ids[:2].tolist() == [
        ids("yes", "</s>", "<pad>", "<pad>"), ids("no", "</s>", "<pad>", "<pad>"),
    ]  # fmt: skip
    assert batch.candidate_mask.sum(1).tolist() == [2, 2, 4]
    assert batch.target_ids is None


def test_clips_keep_their_frames_in_order_and_blind_ones_see_grey():
    clips = [example(1, frames=4), example(2, frames=4)]
    batch = collator().infer(clips, ["", ""])
    assert batch.features[:, :, 0, 0].tolist() == [[10, 11, 12, 13], [20, 21, 22, 23]]
    blind = collator().infer(clips, ["", ""], blind=True)
    assert blind.features.shape == batch.features.shape
    assert (blind.features == -1).all()
    assert torch.equal(blind.prompt_ids, batch.prompt_ids)


def test_a_row_does_not_depend_on_its_companions():
    several = [example(i, candidates=("yes", "no")) for i in range(3)]
    whole = collator(decoder_only=True).infer(several, ["red", "what colour is the cat", "a cat"])
    for row, one in enumerate(several):
        alone = collator(decoder_only=True).infer([one], [whole.instructions[row]])
        assert torch.equal(whole.prompt_ids[row][whole.prompt_mask[row].bool()], alone.prompt_ids[0])
        assert torch.equal(whole.qformer_ids[row][whole.qformer_mask[row].bool()], alone.qformer_ids[0])
        assert torch.equal(whole.candidate_ids[whole.candidate_owner == row], alone.candidate_ids)


def test_what_does_not_fit_together_is_refused_in_a_sentence():
    with pytest.raises(ValueError, match="at least one example"):
        collator().infer([], [])
    with pytest.raises(ValueError, match="1 examples came with 2 instructions and 1 targets"):
        collator().train([example(1)], ["", ""], ["yes"])
    with pytest.raises(ValueError, match="q2 has 4 frames beside vqav2 q1 with 1"):
        collator().infer([example(1), example(2, frames=4)], ["", ""])
