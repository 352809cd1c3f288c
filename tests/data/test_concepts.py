"""The things a scene may hold, and the colours they are said to have."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from workbench.data.micro.concepts import (
    BY_NAME,
    CATEGORIES,
    CONCEPTS,
    FACTS,
    colour_name,
    dominant_colour,
    unicode_name,
)
from workbench.data.micro.scene import COLOURS

CLEAR = {
    "red": (220, 30, 30), "orange": (250, 140, 20), "yellow": (250, 220, 40), "green": (60, 170, 60),
    "blue": (40, 90, 220), "purple": (130, 60, 210), "pink": (250, 110, 200), "brown": (130, 80, 50),
    "gray": (128, 128, 128), "black": (10, 10, 10), "white": (250, 250, 250),
}  # fmt: skip


def test_about_150_concepts_in_a_dozen_categories_or_more():
    assert 140 <= len(CONCEPTS) <= 180
    assert len(CATEGORIES) >= 12
    assert {concept.category for concept in CONCEPTS} == set(CATEGORIES)


def test_names_and_characters_are_unique_single_words():
    assert len(BY_NAME) == len({concept.character for concept in CONCEPTS}) == len(CONCEPTS)
    assert all(name.isascii() and name.isalpha() and name.islower() for name in BY_NAME)


@pytest.mark.parametrize("concept", CONCEPTS, ids=lambda concept: concept.name)
def test_the_artwork_exists_and_is_an_emoji(concept):
    with Image.open(concept.artwork) as picture:
        assert picture.size == (72, 72)
    assert unicode_name(concept)
    assert concept.colour in COLOURS


def test_unicode_agrees_where_the_name_is_unicodes_own():
    for name in ("owl", "banana", "guitar", "bicycle", "tulip", "lobster"):
        assert name in unicode_name(BY_NAME[name]).lower()


def test_some_concepts_of_most_categories_are_novel():
    novel = [concept for concept in CONCEPTS if concept.novel]
    assert len(CONCEPTS) / 10 < len(novel) < len(CONCEPTS) / 3
    assert len({concept.category for concept in novel}) >= 12


def test_facts_follow_categories_with_their_exceptions():
    holders = {fact: {c.name for c in CONCEPTS if fact in c.facts} for fact in FACTS}
    assert all(2 <= len(names) < len(CONCEPTS) / 2 for names in holders.values())
    assert {"eagle", "airplane", "bee"} <= holders["flies"]
    assert not {"penguin", "chicken", "dog"} & holders["flies"]
    assert {"shark", "duck"} <= holders["lives in water"]
    assert "train" not in holders["has wheels"]
    assert "car" in holders["has wheels"]


@pytest.mark.parametrize("name", COLOURS)
def test_clear_colours_have_their_everyday_names(name):
    assert colour_name(*(value / 255 for value in CLEAR[name])) == name


def artwork(path, *areas):
    """A 10 x 10 picture of areas (rows, rgb, alpha)."""
    pixels = np.zeros((10, 10, 4), np.uint8)
    top = 0
    for rows, rgb, alpha in areas:
        pixels[top : top + rows] = (*rgb, alpha)
        top += rows
    Image.fromarray(pixels, "RGBA").save(path)
    return path


def test_the_dominant_colour_is_that_of_most_opaque_pixels(tmp_path):
    mixed = artwork(tmp_path / "mixed.png", (6, CLEAR["red"], 255), (4, CLEAR["blue"], 255))
    assert dominant_colour(mixed) == "red"
    blues = (3, CLEAR["blue"], 255), (3, (30, 60, 200), 255)
    assert dominant_colour(artwork(tmp_path / "shades.png", (4, CLEAR["red"], 255), *blues)) == "blue"
    clear = artwork(tmp_path / "clear.png", (9, CLEAR["red"], 100), (1, CLEAR["green"], 255))
    assert dominant_colour(clear) == "green"


def test_missing_artwork_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.png"):
        dominant_colour(tmp_path / "nothing.png")
