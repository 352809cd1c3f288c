"""How answers are made comparable: the official normalisers of VQA and of EvalAI."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import lru_cache

# Right spellings; VQA's evaluator knows each with any one apostrophe missing ("couldn'tve" and
# "couldnt've", but not "couldntve").
_CONTRACTED = (
    "ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't haven't "
    "he'd he'd've he's how'd how'll how's isn't it'd it'd've it'll ma'am might've mightn't mightn't've "
    "must've mustn't needn't not've o'clock oughtn't 'ow's'at shan't she'd've should've shouldn't "
    "shouldn't've somebody'd've somebody'll somebody's someone'd someone'd've someone'll someone's "
    "something'd something'd've something'll that's there'd there'd've there're there's they'd they'd've "
    "they'll they're they've 'twas wasn't we'd've we've weren't what'll what're what's what've when's "
    "where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't would've "
    "wouldn't wouldn't've y'all y'all'll y'all'd've you'd you'd've you'll you're you've"
)
CONTRACTIONS = {
    word[:at] + word[at + 1 :]: word
    for word in _CONTRACTED.split()
    for at, letter in enumerate(word)
    if letter == "'"
} | {"somebody'd": "somebodyd"}  # the official table has this one the wrong way round
# VizWiz' evaluator has typographic apostrophes, so that "dont" is not an annotator's "don't"; but for these
_STRAIGHT = {"ain't", "aren't", "can't", "could've", "couldn't", "we've", "where's", "who've"}
_STRAIGHT_WRONG = {"couldn'tve", "hadn'tve"}
CONTRACTIONS_VIZWIZ = {
    wrong if wrong in _STRAIGHT_WRONG else wrong.replace("'", "’"): (
        right if right in _STRAIGHT else right.replace("'", "’")
    )
    for wrong, right in CONTRACTIONS.items()
}
_NUMBERS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
NUMBERS = {word: str(value) for value, word in enumerate(_NUMBERS)} | {"none": "0"}
ARTICLES = {"a", "an", "the"}
PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'

_PERIOD = re.compile(r"(?!<=\d)(\.)(?!\d)")
_PERIODS_AT_MOST = 32
_COMMA = re.compile(r"(\d)(\,)(\d)")


def strip_punctuation(text: str) -> str:
    """The official `processPunctuation`, quirks kept so that scores compare with published ones.

    A mark goes away without a trace if it touches a space anywhere in the text, or if the text has
    a comma between digits ("1,000 t-shirts" -> "1000 tshirts"); otherwise it becomes a space
    ("t-shirt" -> "t shirt"). A full stop goes unless a digit follows: the look-behind `(?!<=\\d)` is
    a typing error that never matches, so "3." loses it and "a.5" keeps it. At most 32 full stops go,
    because `re.UNICODE` (32) stands in the place of the count. Apostrophes and colons stay.
    """
    out = text
    for mark in PUNCTUATION:
        gone = f"{mark} " in text or f" {mark}" in text or _COMMA.search(text)
        out = out.replace(mark, "" if gone else " ")
    return _PERIOD.sub("", out, count=_PERIODS_AT_MOST)


def strip_articles(text: str, contractions: Mapping[str, str] = CONTRACTIONS) -> str:
    """The official `processDigitArticle`: lower case, number words to digits ("none" is 0), no a/an/the,
    apostrophes put back into contractions."""
    words = (NUMBERS.get(word, word) for word in text.lower().split())
    return " ".join(contractions.get(word, word) for word in words if word not in ARTICLES)


def one_line(answer: str) -> str:
    """Without line breaks, tabs and outer blanks."""
    return answer.replace("\n", " ").replace("\t", " ").strip()


@lru_cache(maxsize=65_536)
def normalise(answer: str) -> str:
    """An answer as GT-Vision-Lab/VQA compares it (vqaEval.py at a013f00).

    One departure: the official code normalises nothing where all ten annotators wrote the same; here
    both sides always are, so that "Yes." agrees with ten times "yes" (answers.vqa_accuracy_official does not
    depart).
    """
    return strip_articles(strip_punctuation(one_line(answer)))


def normalise_vizwiz(answer: str) -> str:
    """An answer as VizWiz' program compares it (vqaEval.py, from AttentionX/InstructBLIP_PEFT at 0a75fc6)."""
    return strip_articles(strip_punctuation(one_line(answer)), CONTRACTIONS_VIZWIZ)


def normalise_evalai(answer: str) -> str:
    """An answer as EvalAI compares TextVQA's (facebookresearch/mmf, m4c_evaluators.py).

    Before VQA's own rules, every comma and question mark goes without a trace and 's becomes a word, so that
    "1,000 t-shirts" is "1000 t shirts" here and "1000 tshirts" there, and "it's" stays two words.
    """
    return normalise(answer.lower().replace(",", "").replace("?", "").replace("'s", " 's"))
