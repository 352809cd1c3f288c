"""A caption's words as captioning papers count them, without Java.

They come from Stanford's PTBTokenizer (CoreNLP 3.4.1, -lowerCase), from which pycocoevalcap then drops a list
of punctuation. Two quirks of that are kept: the list names brackets in capitals (-LRB-) while the tokens are
lower-cased, so that brackets stay in the caption as words; and it has ! and ?, but not !! or ?!.
tests/golden/ptb.json is what the Java program makes of constructed captions; README.md says how often this
module differs from it on real ones.
"""

from __future__ import annotations

import re

_DROPPED = frozenset("` ' \" . ? ! , : - ;".split())
_NAMED = {"(": "-lrb-", ")": "-rrb-", "[": "-lsb-", "]": "-rsb-", "{": "-lcb-", "}": "-rcb-"}
_STRAIGHT = str.maketrans(
    {"’": "'", "‘": "`", "“": '"', "”": '"', "£": "#", "€": "$", "¢": " cents ", "…": " ", "–": " ", "—": " "}
)
_APART = re.compile(r"--+|\.{2,}|[^\x00-\uffff]")  # dashes, dots; emoji, which Java cannot read
# with their full stop, wherever they stand; the second list only before a number
_ABBREVIATED = """
    adm apr ariz assn atty aug ave bldg blvd brig bros calif capt cmdr co col corp cpl dec dept dr drs
    est etc ext feb fla fri ft gen gov hon inc jan jr jul jun lt ltd maj mar messrs mon mr mrs ms mt
    nov oct penn ph plc pres prof pvt rd rep rev sen sep sept sgt sq sr st ste supt tel thu thurs tue
    tues univ vs wed
"""
_NUMBERED = "art fig figs no nos op pp"
_TOKEN = re.compile(
    rf"""
      (?:https?://|www\.)[^\s"<>]*[^\s"<>.,;:!?')] | [\w.+-]+@[\w.-]*\w | [#@][a-z]\w* | </?[a-z][^<>]*>
    | (?:{"|".join(_NUMBERED.split())})\.(?=\s*\d) | (?:{"|".join(_ABBREVIATED.split())})\.(?!\w)
    | (?:[a-z]\.){{2,}} | ph\.d\. | (?-i:[A-Z])\.(?!\w) | [a-z]\.(?=\s+\S)   # p.m., J. Fox, plan b. Then
    | can(?=not\b) | (?:gon|wan)(?=na\b) | got(?=ta\b) | (?:lem|gim)(?=me\b) | 't(?=is\b|was\b) | y'(?=all)
    | '(?:s|re|ve|ll|d|m)\b | n't\b | '(?:n'?|em|cause|till?|\d0s)(?!\w)
    | (?<!\S)(?:[-+]\.?|\.)\d(?:[.,:]?\d)* | \d(?:[./-]?\d)*[,:]\d(?:[.,:/-]?\d)*   # -.5, 1,000.50, 5:30
    | [odl]'(?!s\b)\w+ | c'mon\b | ma'am\b | (?-i:[A-Z]+&[A-Z]+)\b
    | (?:(?!n't\b)\w)+(?:[-/.]\w+)*                                         # well-dressed, and/or, 3.5
    | [!?]{{2,}} | [^\w\s]
    """,
    re.VERBOSE | re.IGNORECASE,
)


def caption_tokens(caption: str) -> list[str]:
    """Lower-case words of a caption: "A dog's t-shirt (don't!)" -> a dog 's t-shirt -lrb- do n't -rrb-."""
    text = _APART.sub(" ", caption.translate(_STRAIGHT))
    return [_NAMED.get(word, word.lower()) for word in _TOKEN.findall(text) if word not in _DROPPED]
