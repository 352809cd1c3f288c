import io
import os
import tracemalloc
import zipfile
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256

import numpy as np
import official_root
import pytest
from PIL import EpsImagePlugin, Image

from workbench.data import images
from workbench.data.images import FORMATS, ImageError, close_archives, content_key, holds, open_image


def encoded(seed=0, kind="PNG", mode="RGB"):
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 10, len(mode)), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels, mode).save(buffer, kind)
    return buffer.getvalue()


@pytest.fixture
def root(tmp_path):
    folder = tmp_path / "prepared"
    (folder / "scenes").mkdir(parents=True)
    (folder / "plain.png").write_bytes(encoded())
    with zipfile.ZipFile(folder / "scenes" / "pool.zip", "w") as archive:
        for i in range(20):
            archive.writestr(f"deep/{i}.png", encoded(i))
    yield folder
    close_archives()


def test_a_file_and_an_archive_member_with_the_same_bytes_are_the_same_picture(root):
    outside, inside = open_image(root, "plain.png"), open_image(root, "scenes/pool.zip/deep/0.png")
    assert outside.mode == "RGB"
    assert outside.size == (10, 12)
    assert np.array_equal(outside, inside)
    assert content_key(root, "plain.png") == content_key(root, "scenes/pool.zip/deep/0.png")
    assert content_key(root, "plain.png") == sha256(encoded()).hexdigest()
    assert content_key(root, "plain.png") != content_key(root, "scenes/pool.zip/deep/1.png")


def test_transparency_is_dropped(root):
    (root / "clear.png").write_bytes(encoded(mode="RGBA"))
    assert open_image(root, "clear.png").mode == "RGB"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "GIF"])
def test_every_truncation_that_loses_pixels_is_refused(root, kind):
    data = encoded(kind=kind)
    for length in range(0, len(data) - 20, 7):
        (root / "cut").write_bytes(data[:length])
        with pytest.raises(ImageError, match="cut"):
            open_image(root, "cut")


@pytest.mark.parametrize("kind", [*FORMATS, "MPO"])
def test_pictures_of_these_formats_are_read_whatever_they_are_called(root, kind):
    (root / "any.jpg").write_bytes(encoded(kind=kind))
    assert open_image(root, "any.jpg").size == (10, 12)


def test_a_program_that_is_called_a_picture_is_not_run(root, monkeypatch):
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", None)  # would be called
    (root / "eps.jpg").write_bytes(encoded(kind="EPS"))
    with pytest.raises(ImageError, match=r"eps\.jpg is truncated or none of JPEG, .*; restore the file"):
        open_image(root, "eps.jpg")


def test_a_flipped_byte_in_a_png_is_refused(root):
    data = bytearray(encoded())
    data[len(data) // 2] ^= 1
    (root / "flipped.png").write_bytes(data)
    with pytest.raises(ImageError, match="flipped"):
        open_image(root, "flipped.png")


@pytest.mark.parametrize("size", [(11_000, 10_000), (60_000, 60_000)])
@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_decompression_bomb_is_refused_before_it_unpacks(root, size):
    official_root.bomb(root / "bomb.png", *size)
    with pytest.raises(ImageError, match=r"bomb\.png unpacks to .*; shrink"):
        open_image(root, "bomb.png")


def test_an_archive_member_that_unpacks_to_gigabytes_is_not_unpacked(root, monkeypatch):
    with zipfile.ZipFile(root / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.png", b"\0" * 5_000_000)
    monkeypatch.setattr(images, "LARGEST_FILE", 4_000_000)
    (root / "zeros.png").write_bytes(b"\0" * 5_000_000)
    for ref in ("bomb.zip/zeros.png", "zeros.png"):
        with pytest.raises(ImageError, match="has 5000000 bytes, more than 4000000"):
            open_image(root, ref)


def test_a_member_that_lies_about_its_size_is_not_unpacked_either(root):
    size, lie = 40_000_000, 1000
    with zipfile.ZipFile(root / "bomb.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("zeros.png", b"\0" * size)
    data = (root / "bomb.zip").read_bytes()
    (root / "bomb.zip").write_bytes(data.replace(size.to_bytes(4, "little"), lie.to_bytes(4, "little")))
    tracemalloc.start()
    with pytest.raises(ImageError, match=r"bomb\.zip/zeros\.png.*cannot be read"):
        open_image(root, "bomb.zip/zeros.png")
    assert tracemalloc.get_traced_memory()[1] < size / 4
    tracemalloc.stop()
    with zipfile.ZipFile(root / "lzma.zip", "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("zeros.png", b"\0" * size)
    with pytest.raises(ImageError, match="neither stored nor deflated"):
        open_image(root, "lzma.zip/zeros.png")


def test_members_may_be_named_from_the_folder_itself(root):
    with zipfile.ZipFile(root / "dot.zip", "w") as archive:
        archive.writestr("./", b"")
        archive.writestr("./a/0.png", encoded(5))
    assert holds(root, "dot.zip/a/0.png")
    assert content_key(root, "dot.zip/a/0.png") == sha256(encoded(5)).hexdigest()


def test_a_name_that_no_disk_takes_is_not_there(root):
    assert not holds(root, "x" * 300 + ".png")
    with pytest.raises(ImageError, match="does not exist"):
        open_image(root, "x" * 300 + ".png")


def test_pictures_of_a_data_root_are_read_through_the_prepared_folder_that_names_it(root):
    place = root.parent / "official"
    place.mkdir()
    (place / "there.png").write_bytes(encoded(3))
    (root.parent / "secret.png").write_bytes(encoded())
    (place / "out.png").symlink_to(root.parent / "secret.png")
    with pytest.raises(ImageError, match=r"prepared/there\.png does not exist"):
        open_image(root, "there.png")
    (root / "manifest.json").write_text('{"data_root": "../official"}')
    assert content_key(root, "there.png") == sha256(encoded(3)).hexdigest()
    assert content_key(root, "plain.png") == sha256(encoded()).hexdigest()
    assert [holds(root, ref) for ref in ("there.png", "plain.png", "absent.png")] == [True, True, False]
    assert not holds(root, "there.png", own=True)
    with pytest.raises(ImageError, match="does not exist"):
        open_image(root, "there.png", own=True)
    for ref, says in (("absent.png", "does not exist"), ("out.png", "outside the data root")):
        with pytest.raises(ImageError, match=says):
            open_image(root, ref)


@pytest.mark.parametrize("text", ["[]", '{"data_root": ["x"]}', "{}"])
def test_a_manifest_without_a_data_root_leads_nowhere(root, text):
    (root / "manifest.json").write_text(text)
    assert not holds(root, "there.png")


@pytest.mark.parametrize("ref", ["absent.png", "absent.zip/a.png", "scenes/pool.zip/deep/99.png", "scenes"])
def test_what_is_missing_is_named_with_a_remedy(root, ref):
    with pytest.raises(ImageError, match="prepare") as raised:
        open_image(root, ref)
    assert ref.split("/")[0] in str(raised.value)


@pytest.mark.parametrize(
    "ref",
    ["../secret.png", "scenes/../../secret.png", "/etc/hosts", "", "a\\..\\b", "scenes/pool.zip/../../x"],
)
def test_a_reference_that_leaves_the_root_is_refused(root, ref):
    (root.parent / "secret.png").write_bytes(encoded())
    with pytest.raises(ImageError, match="data root"):
        open_image(root, ref)


def test_a_link_out_of_the_root_is_refused_and_one_within_it_followed(root):
    (root.parent / "secret.png").write_bytes(encoded())
    (root / "out.png").symlink_to(root.parent / "secret.png")
    (root / "within.png").symlink_to(root / "plain.png")
    with pytest.raises(ImageError, match="outside the data root"):
        open_image(root, "out.png")
    assert open_image(root, "within.png").size == (10, 12)


def test_a_damaged_archive_is_named(root):
    path = root / "scenes" / "broken.zip"
    path.write_bytes((root / "scenes" / "pool.zip").read_bytes()[:-40])
    with pytest.raises(ImageError, match=r"broken\.zip"):
        open_image(root, "scenes/broken.zip/deep/0.png")


def test_an_archive_that_was_replaced_is_read_anew(root):
    path = root / "scenes" / "pool.zip"
    before = content_key(root, "scenes/pool.zip/deep/0.png")
    with zipfile.ZipFile(root / "next.zip", "w") as archive:
        archive.writestr("deep/0.png", encoded(77))
    (root / "next.zip").replace(path)
    assert content_key(root, "scenes/pool.zip/deep/0.png") != before


def test_threads_and_forked_processes_share_an_archive(root):
    refs = [f"scenes/pool.zip/deep/{i}.png" for i in range(20)]
    alone = [content_key(root, ref) for ref in refs]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda ref: content_key(root, ref), refs * 5)) == alone * 5
    child = os.fork()
    if child == 0:  # reads at the same time from the file its parent has open
        os._exit([content_key(root, ref) for ref in refs * 20] != alone * 20)
    assert [content_key(root, ref) for ref in refs * 20] == alone * 20
    assert os.waitpid(child, 0)[1] == 0
