import io
import json
import math
import os
import time
import zipfile

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import InstructBlipVisionConfig, InstructBlipVisionModel
from transformers.models.blip.image_processing_pil_blip import BlipImageProcessorPil

from workbench import code
from workbench.data import features
from workbench.data.encoder import Encoder, Preprocessing
from workbench.data.features import FeatureStore, FeatureStoreError, build
from workbench.data.images import ImageError, open_image
from workbench.files import file_sha256

REFS = ["pool.zip/0.png", "pool.zip/1.png", "pool.zip/2.png", "pool.zip/copy of 1.png", "plain.png"]


def png(seed, size=(20, 14)):
    buffer = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def write_pictures(folder, seeds):
    with zipfile.ZipFile(folder / "pool.zip", "w") as archive:
        for name, seed in zip(("0", "1", "2", "copy of 1"), seeds, strict=True):
            archive.writestr(f"{name}.png", png(seed))


def write_examples(path, images):
    pq.write_table(pa.table({"images": images}), path)


@pytest.fixture
def prepared(tmp_path):
    folder = tmp_path / "prepared"
    for dataset in ("vqav2", "msvd_qa"):
        (folder / dataset).mkdir(parents=True)
    write_pictures(folder, (0, 1, 2, 1))
    (folder / "plain.png").write_bytes(png(3))
    write_examples(folder / "vqav2" / "train.parquet", [[REFS[0]], [REFS[4]], [REFS[0]]])
    write_examples(folder / "msvd_qa" / "test.parquet", [REFS[:4]])
    (folder / "manifest.json").write_text('{"version": 1}')
    return folder


@pytest.fixture(scope="module")
def vision():
    torch.manual_seed(0)
    config = InstructBlipVisionConfig(
        hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
        image_size=16, patch_size=8, initializer_range=0.2,
    )  # fmt: skip
    return InstructBlipVisionModel(config).eval()


@pytest.fixture
def encoder(tmp_path, vision):
    folder = tmp_path / "vision"
    vision.save_pretrained(folder)
    size = {"height": 16, "width": 16}
    processor = BlipImageProcessorPil(size=size, image_mean=[0.5] * 3, image_std=[0.25, 0.5, 0.75])
    processor.save_pretrained(folder)
    return folder


@pytest.fixture
def counted(monkeypatch):
    """How many pictures were encoded since the last look."""
    import workbench.data.features as module

    encoded = []
    original = module.encode
    monkeypatch.setattr(
        module, "encode", lambda m, pixels: encoded.append(len(pixels)) or original(m, pixels)
    )
    return encoded


def opened(tmp_path, prepared, encoder):
    return FeatureStore.open(tmp_path / "features", prepared=prepared, encoder=encoder)


def alter_weights(encoder, name, change):
    weights = load_file(encoder / "model.safetensors")
    weights[name] = change(weights[name])
    save_file(weights, encoder / "model.safetensors", {"format": "pt"})


def test_the_store_holds_what_transformers_computes_before_the_layer_norm(
    tmp_path, prepared, encoder, vision
):
    build(prepared, encoder, tmp_path / "features", batch_size=2)
    store = opened(tmp_path, prepared, encoder)
    images = [open_image(prepared, ref) for ref in REFS] + [Image.new("RGB", (9, 9), (128, 128, 128))]
    pixels = BlipImageProcessorPil.from_pretrained(encoder)(images, return_tensors="pt").pixel_values
    with torch.inference_mode():
        reference = vision(pixels)
    taken = torch.cat([store.take(REFS), store.blank[None]])
    assert taken.shape == (6, 5, 16)
    assert taken.dtype == torch.float32
    assert torch.allclose(vision.post_layernorm(taken), reference.last_hidden_state, atol=5e-3)
    assert torch.equal(store.take([REFS[3], REFS[0]]), store.take(REFS)[[3, 0]])


def test_a_picture_is_encoded_once_and_only_new_ones_later(tmp_path, prepared, encoder, counted):
    seen = []
    build(prepared, encoder, tmp_path / "features", batch_size=4, progress=lambda *n: seen.append(n))
    assert sum(counted) == 5  # four different pictures and the canvas
    assert seen == [(4, 5), (5, 5)]
    before, first = (
        opened(tmp_path, prepared, encoder).take(REFS),
        file_sha256(tmp_path / "features/features.f16"),
    )
    counted.clear()
    build(prepared, encoder, tmp_path / "features")
    assert not counted
    assert file_sha256(tmp_path / "features/features.f16") == first
    (prepared / "new.png").write_bytes(png(9))
    write_examples(prepared / "vqav2" / "val.parquet", [["new.png"]])
    build(prepared, encoder, tmp_path / "features", batch_size=2)
    assert sum(counted) == 1
    store = opened(tmp_path, prepared, encoder)
    assert torch.equal(store.take(REFS), before)
    counted.clear()
    build(prepared, encoder, tmp_path / "afresh", batch_size=2)
    fresh = FeatureStore.open(tmp_path / "afresh", prepared=prepared, encoder=encoder)
    assert torch.allclose(fresh.take([*REFS, "new.png"]), store.take([*REFS, "new.png"]), atol=1e-2)


def test_a_changed_picture_is_not_reused_under_its_old_name(tmp_path, prepared, encoder, counted):
    build(prepared, encoder, tmp_path / "features")
    before = opened(tmp_path, prepared, encoder).take(REFS)
    write_pictures(prepared, (0, 1, 8, 1))
    (tmp_path / "features" / ".features.f16.abc").write_bytes(b"half of a store, left by a kill")
    (prepared / "manifest.json").write_text('{"version": 2}')
    with pytest.raises(FeatureStoreError, match=r"before .* changed; rerun the stage features"):
        opened(tmp_path, prepared, encoder)
    counted.clear()
    build(prepared, encoder, tmp_path / "features")
    assert sum(counted) == 1
    same = (opened(tmp_path, prepared, encoder).take(REFS) == before).flatten(1).all(1)
    assert same.tolist() == [True, True, False, True, True]
    assert sorted(p.name for p in (tmp_path / "features").iterdir()) == ["features.f16", "index.json"]


def test_a_changed_encoder_recomputes_all_but_its_post_layer_norm_does_not_matter(
    tmp_path, prepared, encoder, counted
):
    build(prepared, encoder, tmp_path / "features")
    alter_weights(encoder, "post_layernorm.weight", lambda w: w + 1)
    opened(tmp_path, prepared, encoder)
    alter_weights(encoder, "encoder.layers.1.mlp.fc1.bias", lambda w: w + 1e-3)
    with pytest.raises(FeatureStoreError, match="another encoder"):
        opened(tmp_path, prepared, encoder)
    counted.clear()
    build(prepared, encoder, tmp_path / "features")
    assert sum(counted) == 5
    opened(tmp_path, prepared, encoder)


def test_changed_preprocessing_is_noticed(tmp_path, prepared, encoder):
    build(prepared, encoder, tmp_path / "features")
    path = encoder / "preprocessor_config.json"
    raw = json.loads(path.read_text())
    path.write_text(json.dumps(raw | {"image_mean": [0.4, 0.5, 0.5]}))
    with pytest.raises(FeatureStoreError, match="preprocessing"):
        opened(tmp_path, prepared, encoder)


def edited(modules, **more):
    """The digest of the code that encodes, after an edit of it."""
    assert {"workbench.data.encoder", "workbench.data.images"} <= set(modules)
    assert more["without"].isdisjoint(modules)
    return "edited"


def test_edited_code_recomputes_all(tmp_path, prepared, encoder, counted, monkeypatch):
    build(prepared, encoder, tmp_path / "features")
    monkeypatch.setattr(code, "digest", edited)
    with pytest.raises(FeatureStoreError, match="preprocessing or code"):
        opened(tmp_path, prepared, encoder)
    counted.clear()
    build(prepared, encoder, tmp_path / "features")
    assert sum(counted) == 5
    opened(tmp_path, prepared, encoder)


@pytest.mark.parametrize("file", ["features.f16", "index.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_a_damaged_store_is_refused_then_healed_by_its_stage(tmp_path, prepared, encoder, file, damage):
    build(prepared, encoder, tmp_path / "features")
    before = opened(tmp_path, prepared, encoder).take(REFS)
    path = tmp_path / "features" / file
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    if damage == "remove":
        path.unlink()
    else:
        path.write_bytes(data if damage == "flip" else data[: len(data) // 2])
    with pytest.raises(FeatureStoreError, match=rf"{file}.* rerun the stage features"):
        opened(tmp_path, prepared, encoder)
    build(prepared, encoder, tmp_path / "features")
    assert torch.equal(opened(tmp_path, prepared, encoder).take(REFS), before)


def test_the_checksum_is_compared_once_until_the_file_is_written_to(
    tmp_path, prepared, encoder, monkeypatch
):
    build(prepared, encoder, tmp_path / "features")
    read = []

    def noted(path):
        read.append(path.name)
        return file_sha256(path)

    monkeypatch.setattr(features, "file_sha256", noted)
    for _ in range(3):
        opened(tmp_path, prepared, encoder)
    assert read.count("features.f16") == 1
    FeatureStore.open(tmp_path / "features", prepared=prepared, encoder=encoder, thorough=True)
    assert read.count("features.f16") == 2


def test_what_was_written_to_is_compared_again_whatever_its_time_says(tmp_path, prepared, encoder):
    build(prepared, encoder, tmp_path / "features")
    before = opened(tmp_path, prepared, encoder).take(REFS)
    path = tmp_path / "features/features.f16"
    times = path.stat()
    with path.open("r+b") as file:
        byte = file.read(1)
        file.seek(0)
        file.write(bytes([byte[0] ^ 1]))
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    with pytest.raises(FeatureStoreError, match="does not match its checksum"):
        opened(tmp_path, prepared, encoder)
    build(prepared, encoder, tmp_path / "features")
    assert torch.equal(opened(tmp_path, prepared, encoder).take(REFS), before)


def test_damage_that_leaves_no_trace_is_found_by_a_thorough_look_and_healed(
    tmp_path, prepared, encoder
):
    build(prepared, encoder, tmp_path / "features")
    before = opened(tmp_path, prepared, encoder).take(REFS)
    path = tmp_path / "features/features.f16"
    state, data = path.stat(), bytearray(path.read_bytes())
    data[0] ^= 1
    path.write_bytes(data)

    class Unchanged(type(path)):
        def stat(self, **more):
            return state if self.name == "features.f16" else super().stat(**more)

    folder = Unchanged(tmp_path / "features")
    places = {"prepared": prepared, "encoder": encoder}
    FeatureStore.open(folder, **places)
    with pytest.raises(FeatureStoreError, match="does not match its checksum"):
        FeatureStore.open(folder, **places, thorough=True)
    with pytest.raises(FeatureStoreError, match="does not match its checksum"):
        FeatureStore.open(folder, **places)
    build(prepared, encoder, folder)
    assert torch.equal(opened(tmp_path, prepared, encoder).take(REFS), before)


def test_a_failed_build_leaves_the_old_store(tmp_path, prepared, encoder):
    build(prepared, encoder, tmp_path / "features")
    before = opened(tmp_path, prepared, encoder).take(REFS)
    (prepared / "cut.png").write_bytes(png(5)[:100])
    write_examples(prepared / "vqav2" / "val.parquet", [["cut.png"]])
    with pytest.raises(ImageError, match=r"cut\.png"):
        build(prepared, encoder, tmp_path / "features")
    assert torch.equal(opened(tmp_path, prepared, encoder).take(REFS), before)
    assert sorted(p.name for p in (tmp_path / "features").iterdir()) == ["features.f16", "index.json"]


def test_a_gpu_encodes_one_chunk_at_a_time(tmp_path, prepared, encoder, monkeypatch):
    original, load, inside, most = features.encode, Encoder.load, [], []

    def slow(model, pixels):
        inside.append(1)
        most.append(len(inside))
        time.sleep(0.02)
        inside.pop()
        return original(model, pixels)

    monkeypatch.setattr(features, "encode", slow)
    monkeypatch.setattr(Encoder, "load", lambda self, device: load(self))  # there need be none
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    build(prepared, encoder, tmp_path / "features", batch_size=1, device="cuda")
    assert most == [1] * 5


@pytest.mark.parametrize("value", [1e6, math.nan])
def test_features_beyond_half_precision_name_the_picture(tmp_path, prepared, encoder, value):
    alter_weights(encoder, "embeddings.class_embedding", lambda w: torch.full_like(w, value))
    with pytest.raises(FeatureStoreError, match=r"grey canvas.*half precision"):
        build(prepared, encoder, tmp_path / "features")
    assert not (tmp_path / "features").exists()


def test_an_unknown_picture_is_named(tmp_path, prepared, encoder):
    build(prepared, encoder, tmp_path / "features")
    with pytest.raises(FeatureStoreError, match=r"other\.png"):
        opened(tmp_path, prepared, encoder).take([REFS[0], "other.png"])


def test_a_composite_folder_in_half_precision_is_the_same_encoder(tmp_path, encoder):
    halves = {k: v.half() for k, v in load_file(encoder / "model.safetensors").items()}
    save_file(halves, encoder / "model.safetensors")
    whole = tmp_path / "blip2"
    whole.mkdir()
    rest = {"query_tokens": torch.zeros(1, 2, 16), "qformer.encoder.weight": torch.ones(3)}
    save_file({f"vision_model.{k}": v for k, v in halves.items()} | rest, whole / "model.safetensors")
    config = json.loads((encoder / "config.json").read_text())
    (whole / "config.json").write_text(json.dumps({"vision_config": config, "text_config": {}}))
    processor = json.loads((encoder / "preprocessor_config.json").read_text())
    (whole / "processor_config.json").write_text(json.dumps({"image_processor": processor}))
    assert Encoder.open(whole).identity == Encoder.open(encoder).identity
    parts = [Encoder.open(folder).load().state_dict() for folder in (whole, encoder)]
    assert all(torch.equal(parts[0][name], parts[1][name]) for name in parts[1])


@pytest.mark.parametrize(
    ("file", "change", "words"),
    [
        ("preprocessor_config.json", None, "preprocessor_config.json"),
        ("preprocessor_config.json", {"size": {"height": 32, "width": 32}}, "image_size 16"),
        ("preprocessor_config.json", {"do_center_crop": True}, "do_center_crop"),
        ("preprocessor_config.json", {"size": {"shortest_edge": 16}}, "size.height"),
        ("config.json", None, "no config.json"),
        ("model.safetensors", None, "no InstructBLIP vision encoder"),
    ],
)
def test_an_unusable_encoder_folder_is_refused_in_a_sentence(encoder, file, change, words):
    path = encoder / file
    if change is None:
        path.unlink()
    else:
        path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(ValueError, match=words) as raised:
        Encoder.open(encoder)
    assert str(encoder) in str(raised.value)


def test_truncated_weights_are_named(encoder):
    path = encoder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match="damaged"):
        Encoder.open(encoder)


def test_pixels_of_the_micro_encoder_by_hand():
    preparation = Preprocessing(2, 2, (0.5,) * 3, (0.5,) * 3, Image.Resampling.BICUBIC)
    pixels = preparation.pixels([Image.new("RGB", (8, 4), (0, 255, 51))])
    assert pixels.shape == (1, 3, 2, 2)
    assert pixels[0, :, 0, 0].tolist() == pytest.approx([-1.0, 1.0, -0.6])


class Ended(Exception):
    """What ends a build."""


def end_after_four(prepared, encoder, folder, batch_size):
    def ends(done, total):
        if done == 4:
            raise Ended

    with pytest.raises(Ended):
        build(prepared, encoder, folder, batch_size=batch_size, progress=ends)


def test_an_ended_build_goes_on_where_it_was(tmp_path, prepared, encoder, counted):
    build(prepared, encoder, tmp_path / "whole", batch_size=2)
    assert sorted(counted) == [1, 2, 2]  # side by side
    counted.clear()
    folder, left = tmp_path / "features", tmp_path / ".features.unfinished"
    end_after_four(prepared, encoder, folder, 2)
    with (left / "features.f16").open("ab") as file:
        file.write(b"a kill between two writes")
    counted.clear()
    build(prepared, encoder, folder, batch_size=2)
    assert counted == [1]
    assert not left.exists()
    for name in ("features.f16", "index.json"):
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


@pytest.mark.parametrize("change", ["rows", "saved", "encoder", "pictures"])
def test_what_an_ended_build_left_is_used_where_it_is_right(tmp_path, prepared, encoder, counted, change):
    folder, left = tmp_path / "features", tmp_path / ".features.unfinished"
    end_after_four(prepared, encoder, folder, 1)
    if change == "rows":
        data = bytearray((left / "features.f16").read_bytes())
        data[3] ^= 1
        (left / "features.f16").write_bytes(data)
    elif change == "saved":
        (left / "saved.json").write_text('{"rows": 4')
    elif change == "encoder":
        alter_weights(encoder, "embeddings.class_embedding", lambda tensor: tensor + 1)
    else:
        write_pictures(prepared, (0, 1, 9, 1))  # the last to be encoded, as if it had been damaged
    counted.clear()
    build(prepared, encoder, folder, batch_size=1)
    again = len(counted)
    build(prepared, encoder, tmp_path / "whole", batch_size=1)
    for name in ("features.f16", "index.json"):
        assert (folder / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert again == {"pictures": 1}.get(change, 5)
