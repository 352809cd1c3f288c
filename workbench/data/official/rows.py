"""Records of annotation files, and what is wrong with them in one sentence: file, record, remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from workbench.records import Example

Record = TypeVar("Record")
LARGEST = 2**63  # numbers stay below it, so that a database holds them


class DataFault(ValueError):
    """A file of a dataset cannot be used as it is; its parts stay apart, so that processes can pass it on."""

    def __init__(self, file: str, place: str, problem: str, remedy: str) -> None:
        super().__init__(file, place, problem, remedy)

    def __str__(self) -> str:
        file, place, problem, remedy = self.args
        return f"{file}{', ' if place else ''}{place}: {problem}; {remedy}"


class NoPicture(DataFault):
    """The picture of a record is not there or damaged, though nothing is wrong otherwise."""


Note = Callable[[DataFault], None]


def refuse(fault: DataFault) -> None:
    """The way to note a fault that ends the reading: raises it."""
    raise fault


@dataclass(frozen=True, slots=True)
class Row:
    """One record and where it stands; the accessors raise a DataFault that says so."""

    file: str
    place: str
    values: Mapping[str, Any]

    def fault(self, problem: str, remedy: str = "correct the record or get the file again") -> DataFault:
        """A fault of this record."""
        return DataFault(self.file, self.place, problem, remedy)

    def value(self, *names: str) -> Any:
        """The first of the fields that is there; releases of a dataset differ in names."""
        for name in names:
            if self.values.get(name) is not None:
                return self.values[name]
        raise self.fault(f"the field {names[0]!r} is missing")

    def text(self, *names: str) -> str:
        """A field's text, not empty."""
        found = self.clean(self.value(*names), names[0])
        if not found:
            raise self.fault(f"the field {names[0]!r} is empty")
        return found

    def optional(self, name: str) -> str:
        """A field's text, "" where there is none."""
        found = self.values.get(name)
        return "" if found is None else self.clean(found, name)

    def texts(self, *names: str, written: bool = False) -> tuple[str, ...]:
        """A field's list of texts, of which one at least is not empty; as they were written, if so asked."""
        found = self.value(*names)
        if not isinstance(found, list):
            raise self.fault(f"the field {names[0]!r} has to be a list, not {short(found)}")
        texts = tuple((self.written if written else self.clean)(text, names[0]) for text in found)
        if not any(text.strip() for text in texts):
            raise self.fault(f"the field {names[0]!r} is empty")
        return texts

    def rows(self, *names: str) -> list[Row]:
        """A field's list of objects."""
        found = self.value(*names)
        if not isinstance(found, list) or not all(isinstance(part, dict) for part in found):
            raise self.fault(f"the field {names[0]!r} has to be a list of objects, not {short(found)}")
        return [Row(self.file, f"{self.place}, {names[0]}[{i}]", part) for i, part in enumerate(found)]

    def number(self, *names: str) -> int:
        """A field's whole number, which may be written as text."""
        found = self.value(*names)
        if isinstance(found, str) and found.strip().isdecimal() and len(found) < 32:
            found = int(found)
        if isinstance(found, bool) or not isinstance(found, int) or not 0 <= found < LARGEST:
            raise self.fault(f"the field {names[0]!r} has to be a whole number, not {short(found)}")
        return found

    def name(self, *names: str) -> str:
        """A field that identifies something: text or a whole number."""
        found = self.value(*names)
        if isinstance(found, int) and not isinstance(found, bool) and abs(found) < LARGEST:
            return str(found)
        return self.text(*names)

    def index(self, name: str, length: int) -> int:
        """A field that counts places of a list of this length, from 0."""
        found = self.number(name)
        if found >= length:
            raise self.fault(f"the field {name!r} is {found}, but there are only {length}")
        return found

    def clean(self, found: Any, name: str) -> str:
        """Text without outer spaces and Windows line ends; whatever cannot be written as UTF-8 is refused."""
        return self.written(found, name).replace("\r\n", "\n").replace("\r", "\n").strip()

    def written(self, found: Any, name: str) -> str:
        """Text as it was written; whatever cannot be written as UTF-8 is refused."""
        if not isinstance(found, str):
            raise self.fault(f"the field {name!r} has to be text, not {short(found)}")
        try:
            found.encode()
        except UnicodeEncodeError:
            raise self.fault(f"the field {name!r} holds half a surrogate pair") from None
        return found


def made(
    rows: Iterable[Record], make: Callable[[Record], Iterable[Example]], note: Note = refuse
) -> Iterator[Example]:
    """What `make` makes of each record; a record with a fault gives none, once `note` has heard of it."""
    for row in rows:
        try:
            found = list(make(row))
        except DataFault as fault:
            note(fault)
        else:
            yield from found


def short(value: Any) -> str:
    """A value as it would be written, cut to 40 characters."""
    try:
        text = repr(value)
    except (RecursionError, ValueError):  # ValueError: a number of thousands of digits
        return f"a huge {type(value).__name__}"
    return text if len(text) <= 40 else f"{text[:37]}..."
