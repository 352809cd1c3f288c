"""Each query learns to say the words about its place, in the language model's embeddings."""

from __future__ import annotations

import pytest
import tiny
import torch

from workbench.batch import Batch
from workbench.config import Model
from workbench.model.instructblip import InstructBlip
from workbench.records import Example
from workbench.train.alignment import align
from workbench.train.pairs import Pairs

PLACES = (("10 20", "", "30", ""), ("", "40 20", "", "10"), ("30", "10", "", ""), ("", "", "40", "30 20"))


def ids(text):
    return [int(word) for word in text.split()]


@pytest.fixture(scope="module")
def data():
    draw = torch.Generator().manual_seed(1)
    examples = tuple(
        Example("coco_caption", str(i), str(i), ("x.png",), ("w",)) for i in range(len(PLACES))
    )
    features = torch.randn(len(PLACES), tiny.TOKENS, tiny.WIDTH, generator=draw)
    return Pairs(features.half(), examples, PLACES)


@pytest.fixture(scope="module", params=tiny.FAMILIES)
def aligned(request, data, tmp_path_factory):
    """A model that was aligned on four pictures, its losses, and its frozen weights before and after."""
    folder = tiny.start(tmp_path_factory.mktemp("start"), request.param)
    switches = Model(request.param, instruction_aware=False, num_query_tokens=tiny.QUERIES)
    model = InstructBlip.load(folder, switches)
    model.prepare_training("fp32")
    torch.manual_seed(5)
    torch.nn.init.normal_(model.hf.language_model.get_input_embeddings().weight)  # as large as trained ones
    before = model.frozen_checksum()
    losses = [loss for _, loss in align(model, data, ids, steps=400, batch_size=4, rate=5e-3, seed=2)]
    return model, losses, before, model.frozen_checksum()


def said(model, data):
    nothing = torch.zeros(len(data.examples), 0, dtype=torch.long)
    with torch.no_grad():
        return model.prefix(Batch(data.features.float()[:, None], nothing, nothing, nothing, nothing, (), ()))


def test_the_loss_falls_and_frozen_weights_stay(aligned):
    _, losses, before, after = aligned
    assert len(losses) == 400
    assert sum(losses[-10:]) < 0.5 * sum(losses[:10])
    assert before == after


def test_a_place_says_its_words_rather_than_others(aligned, data):
    model = aligned[0]
    words = model.hf.language_model.get_input_embeddings().weight
    found = said(model, data) @ words.T
    for picture, places in enumerate(PLACES):
        for place, thing in enumerate(places):
            if thing:
                wanted = ids(thing)
                assert set(found[picture, place].topk(len(wanted)).indices.tolist()) == set(wanted)


def test_an_empty_place_says_little(aligned, data):
    sizes = said(aligned[0], data).norm(dim=-1)
    empty = torch.tensor([[thing == "" for thing in places] for places in PLACES])
    assert sizes[empty].mean() < 0.5 * sizes[~empty].mean()
