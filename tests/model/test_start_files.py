"""Which files of a folder are read: safetensors only, exactly those that are recorded, and all of them."""

from __future__ import annotations

import json
from pathlib import Path

import checkpoint_folders as made
import pytest
import torch
from checkpoint_folders import make
from safetensors.torch import load_file, save_file

from workbench.files import file_sha256
from workbench.model.folder import ModelError
from workbench.model.sources import read


@pytest.mark.parametrize("odd", ["model.fp16.safetensors", "adapter_model.safetensors"])
def test_a_pickle_beside_other_safetensors_is_not_read(odd, tmp_path):
    model = made.whole(tmp_path / "hub", "t5")
    torch.save(model.state_dict(), tmp_path / "hub/pytorch_model.bin")
    (tmp_path / "hub/model.safetensors").rename(tmp_path / "hub" / odd)
    with pytest.raises(
        ModelError, match=r"no config.json beside model.safetensors or its index \(model.allow"
    ):
        make(tmp_path, "hub")
    (source,) = make(tmp_path, "hub", allow_pickle=True)["sources"]
    assert source["sha256"].keys() == {"pytorch_model.bin"}


def in_shards(folder: Path) -> dict[str, str]:
    """An InstructBLIP in many files; which weight is in which."""
    model = made.whole(folder, "t5")
    (folder / "model.safetensors").unlink()
    model.save_pretrained(folder, max_shard_size="50KB")
    return json.loads((folder / "model.safetensors.index.json").read_text())["weight_map"]


def test_the_recorded_checksums_are_of_the_files_that_are_read(tmp_path):
    where = in_shards(tmp_path / "hub")
    save_file({"odd.weight": torch.ones(2)}, tmp_path / "hub/odd.safetensors")
    torch.save({}, tmp_path / "hub/pytorch_model.bin")
    for allowed in (False, True):
        found = read("hub", tmp_path, allowed).files
        assert found == {name: file_sha256(tmp_path / "hub" / name) for name in set(where.values())}
    assert len(found) > 1


def test_pickles_in_shards_are_read_where_pickles_are_allowed(tmp_path):
    """As lmsys/vicuna-7b-v1.1 has them."""
    where, folder = in_shards(tmp_path / "hub"), tmp_path / "hub"
    wanted = read("hub", tmp_path, allow_pickle=False).state
    pickled = {name: f"pytorch_model-{Path(shard).stem}.bin" for name, shard in where.items()}
    for name, shard in where.items():
        torch.save(load_file(folder / shard), folder / pickled[name])
    (folder / "model.safetensors.index.json").unlink()
    (folder / "pytorch_model.bin.index.json").write_text(json.dumps({"metadata": {}, "weight_map": pickled}))
    with pytest.raises(ModelError, match="has no config"):
        read("hub", tmp_path, allow_pickle=False)
    found = read("hub", tmp_path, allow_pickle=True)
    assert found.files.keys() == set(pickled.values())
    assert found.state.keys() == wanted.keys()
    assert all(torch.equal(found.state[name], tensor) for name, tensor in wanted.items())


@pytest.mark.parametrize("place", ["w.bin", "../w.safetensors", "sub/w.safetensors", "gone.safetensors"])
def test_an_index_names_only_safetensors_beside_it(place, tmp_path):
    where, folder = in_shards(tmp_path / "hub"), tmp_path / "hub"
    first = next(iter(where))
    other = folder / place
    other.parent.mkdir(exist_ok=True)
    if other.suffix == ".bin":
        torch.save(load_file(folder / where[first]), other)
    elif other.stem == "w":
        save_file(load_file(folder / where[first]), other, {"format": "pt"})
    moved = {name: place if shard == where[first] else shard for name, shard in where.items()}
    for written in (moved, {}):
        (folder / "model.safetensors.index.json").write_text(
            json.dumps({"metadata": {}, "weight_map": written})
        )
        with pytest.raises(
            ModelError, match=r"index.json names something else than \*.safetensors files beside"
        ):
            read("hub", tmp_path, allow_pickle=False)


def test_weights_that_a_configuration_leads_elsewhere_are_refused(tmp_path):
    made.whole(tmp_path / "hub", "t5", seed=1)
    path = tmp_path / "hub/config.json"
    written = path.read_text()
    (tmp_path / "hub/other.safetensors").write_bytes((tmp_path / "hub/model.safetensors").read_bytes())
    path.write_text(json.dumps(json.loads(written) | {"transformers_weights": "other.safetensors"}))
    with pytest.raises(ModelError, match=r"hub names more weights than model\.safetensors"):
        read("hub", tmp_path, allow_pickle=False)
    path.write_text(written)
    (tmp_path / "hub/adapter_config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"hub names more weights than model\.safetensors"):
        read("hub", tmp_path, allow_pickle=False)


@pytest.mark.parametrize("kind", ["vit", "dinov2"])
def test_a_vision_encoder_with_missing_weights_is_refused(kind, tmp_path):
    getattr(made, kind)(tmp_path / "eye")
    path = tmp_path / "eye/model.safetensors"
    state = load_file(path)
    unused = [name for name in state if name.startswith("pooler.") or "mask_token" in name]
    save_file({n: t for n, t in state.items() if n not in unused}, path, {"format": "pt"})
    read("eye", tmp_path, allow_pickle=False)
    lost = [name for name in state if "layer" in name and ".0." in name]
    save_file({n: t for n, t in state.items() if n not in lost}, path, {"format": "pt"})
    with pytest.raises(ModelError, match=rf"eye lacks {len(lost)} weights of its vision encoder \(.*\.0\."):
        read("eye", tmp_path, allow_pickle=False)
