"""Annotation files as streams of records: JSON, JSON lines, CSV, lines; one record in memory at a time.

What a file may get wrong is refused with one sentence that names the file, the record and the remedy:
broken or truncated JSON, duplicate keys, NaN, other encodings than UTF-8, compressed files, web pages
saved in place of a download. A byte order mark and Windows line ends are fine.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import ijson
import pyarrow
import pyarrow.parquet as pq

from workbench.data.images import ImageError, inside
from workbench.data.official.nesting import Shallow, TooDeep
from workbench.data.official.rows import DataFault, Row, short
from workbench.data.official.twice import Mark, Marking, Twice, Watched, marked, repeated, unique

LONGEST_RECORD = 64 * 1024 * 1024  # bytes of one line, or of one CSV field
DEEPEST = 64  # lists and objects in each other in a record
_ROWS = 4096  # of a parquet file in memory
_DEEPEST_FILE = DEEPEST + 8  # with those that the records stand in
_AGAIN = "get the file again"
_ITSELF = "put the file itself there"
_LINK = ("is a link that leads nowhere, or outside the data root", _ITSELF)
# what stands at the beginning of a file that is not UTF-8 text of the dataset
_WRONG_START = {
    b"\x1f\x8b": ("is compressed", "unpack it with gunzip"),
    b"PK\x03\x04": ("is a zip archive", "unpack it"),
    b"\xff\xfe": ("is UTF-16", "save it as UTF-8"),
    b"\xfe\xff": ("is UTF-16", "save it as UTF-8"),
    b"<": ("is a web page, not data", "download the file itself"),
    b"version https://git-lfs": ("is a Git LFS pointer", "run git lfs pull where it came from"),
}


def json_rows(root: Path, file: str, prefix: str = "item") -> Iterator[Row]:
    """The objects of a list in a JSON file; `prefix` as in ijson: ``item``, ``annotations.item``.

    Raises:
        DataFault: for what is not JSON, or holds no such list.
    """
    index, marks = -1, list[Mark]()
    with _opened(root, file) as stream:
        watched = Watched(Shallow(stream, _DEEPEST_FILE), prefix)
        try:
            found = ijson.items(watched, prefix, map_type=partial(Marking, marks), use_float=True)
            for index, value in enumerate(marked(found, marks)):
                yield _row(file, f"record {index}", value)
        except (ijson.JSONError, Twice, TooDeep, UnicodeDecodeError) as error:
            raise _broken(file, f"record {index + 1}", error) from error
    _once(root, file, watched)
    if index < 0:
        wanted = "list of records" if prefix == "item" else f"list {prefix.removesuffix('.item')!r}"
        raise DataFault(file, "", f"holds no {wanted}", "check that it is the file of that name")


def json_texts(root: Path, file: str, prefix: str) -> Iterator[str]:
    """The texts of a list in a JSON file, in order.

    Raises:
        DataFault: as json_rows.
    """
    index = -1
    with _opened(root, file) as stream:
        watched = Watched(Shallow(stream, _DEEPEST_FILE), prefix)
        try:
            for index, value in enumerate(ijson.items(watched, prefix)):
                yield Row(file, f"{prefix.removesuffix('.item')}[{index}]", {}).clean(value, "text")
        except (ijson.JSONError, TooDeep, UnicodeDecodeError) as error:
            raise _broken(file, f"record {index + 1}", error) from error
    _once(root, file, watched)
    if index < 0:
        raise DataFault(file, "", f"holds no list {prefix.removesuffix('.item')!r}", _AGAIN)


def json_pairs(root: Path, file: str) -> Iterator[tuple[str, Row]]:
    """Key and record of a JSON object whose values are objects.

    Raises:
        DataFault: for what is not JSON, not such an object, or names a key twice in one record.
    """
    count, marks = 0, list[Mark]()
    with _opened(root, file) as stream:
        shallow = Shallow(stream, _DEEPEST_FILE)
        try:
            found = ijson.kvitems(shallow, "", map_type=partial(Marking, marks), use_float=True)
            for key, value in marked(found, marks):
                count += 1
                yield key, _row(file, f"record {key!r}", value)
        except (ijson.JSONError, Twice, TooDeep, UnicodeDecodeError) as error:
            raise _broken(file, f"record {count}", error) from error
    if not count:
        raise DataFault(file, "", "holds no records by name", "check that it is the file of that name")


def json_object(root: Path, file: str) -> Row:
    """A JSON file that holds one object.

    Raises:
        DataFault: for what is not JSON, not an object, or more than 64 MiB.
    """
    with _opened(root, file) as stream:
        data = stream.read(LONGEST_RECORD + 1)
    if len(data) > LONGEST_RECORD:
        raise DataFault(file, "", f"is longer than {LONGEST_RECORD} bytes", _AGAIN)
    return _row(file, "", _parsed(file, "", data))


def line_rows(root: Path, file: str) -> Iterator[Row]:
    """The objects of a JSON lines file; empty lines are passed over.

    Raises:
        DataFault: naming the line.
    """
    for number, line in text_lines(root, file):
        yield _row(file, f"line {number}", _parsed(file, f"line {number}", line))


def text_lines(root: Path, file: str) -> Iterator[tuple[int, str]]:
    """Number (from 1) and text of each line that is not empty.

    Raises:
        DataFault: for a line that is not UTF-8, or longer than 64 MiB.
    """
    number, seen = 0, False
    with _opened(root, file) as stream:
        while line := stream.readline(LONGEST_RECORD + 1):
            number += 1
            if len(line) > LONGEST_RECORD:
                raise DataFault(file, f"line {number}", f"is longer than {LONGEST_RECORD} bytes", _AGAIN)
            try:
                text = line.decode().strip("\r\n")
            except UnicodeDecodeError as error:
                raise _broken(file, f"line {number}", error) from error
            if text.strip():
                seen = True
                yield number, text
    if not seen:
        raise DataFault(file, "", "holds no lines", _AGAIN)


def csv_rows(root: Path, file: str) -> Iterator[Row]:
    """The rows of a CSV file with a head line.

    Raises:
        DataFault: for a row with too few or too many fields, or text that is not UTF-8.
    """
    csv.field_size_limit(LONGEST_RECORD)
    number = 0
    with _opened(root, file) as stream:
        reader = csv.DictReader(io.TextIOWrapper(stream, "utf-8", newline=""), strict=True)
        try:
            for values in reader:
                number += 1
                row = Row(file, f"line {reader.line_num}", values)
                if None in values or None in values.values():
                    wanted = len(reader.fieldnames or ())
                    raise row.fault(f"has not {wanted} fields as the head line has")
                yield row
        except (csv.Error, UnicodeDecodeError) as error:
            raise _broken(file, f"line {reader.line_num + 1}", error) from error
    if not number:
        raise DataFault(file, "", "holds no rows", _AGAIN)


def table_rows(root: Path, file: str) -> Iterator[Row]:
    """The records of a file in any of the three formats, told by its ending."""
    readers = {".json": json_rows, ".jsonl": line_rows, ".csv": csv_rows}
    return readers[Path(file).suffix](root, file)


def parquet_rows(root: Path, folder: str) -> Iterator[Row]:
    """The rows of the parquet files of a folder, in the order of their names.

    Raises:
        DataFault: naming the file; also when there is none.
    """
    names = sorted(path.name for path in (root / folder).glob("*.parquet"))
    if not names:
        raise DataFault(folder, "", "holds no parquet files", "get the annotations")
    for name in names:
        file, number = f"{folder}/{name}", -1
        try:
            with pq.ParquetFile(inside(root, file)) as table:
                for batch in table.iter_batches(_ROWS):
                    for values in batch.to_pylist():
                        number += 1
                        yield Row(file, f"row {number}", values)
        except ImageError as error:
            raise DataFault(file, "", *_LINK) from error
        except (OSError, pyarrow.ArrowException) as error:
            raise _broken(file, f"row {number + 1}", error) from error


def _opened(root: Path, file: str) -> BinaryIO:
    """The file at its first byte of text."""
    try:
        path = inside(root, file)
        if not path.is_file():  # a pipe would be waited for
            raise DataFault(file, "", "is not a file", _ITSELF)
        stream = path.open("rb")
        start = stream.read(64)
    except ImageError as error:
        what = ("is missing", "`workbench data check` says where to get it")
        if os.path.lexists(root / file):
            what = _LINK
        raise DataFault(file, "", *what) from error
    except OSError as error:
        raise DataFault(file, "", f"cannot be read ({error.strerror})", _ITSELF) from error
    stream.seek(3 if start.startswith(b"\xef\xbb\xbf") else 0)
    wrong = next((why for mark, why in _WRONG_START.items() if start.lstrip().startswith(mark)), None)
    if not start.strip():
        wrong = ("is empty", _AGAIN)
    if wrong is not None:
        stream.close()
        raise DataFault(file, "", *wrong)
    return stream


def _once(root: Path, file: str, watched: Watched) -> None:
    """Refuses a file that has a key on the way to its records twice; both lists were read as one."""
    if watched.suspicious:
        with _opened(root, file) as stream:
            key = repeated(stream, watched.keys)
        if key:
            raise _broken(file, "", Twice(f"the key {key!r} stands twice"))


def _row(file: str, place: str, value: Any) -> Row:
    if not isinstance(value, dict):
        raise DataFault(file, place, f"has to be an object, not {short(value)}", _AGAIN)
    if _deep(value, DEEPEST):
        raise DataFault(file, place, f"is nested more than {DEEPEST} deep", _AGAIN)
    return Row(file, place, value)


def _deep(value: Any, left: int) -> bool:
    parts = value.values() if isinstance(value, dict) else value
    return not left or any(_deep(part, left - 1) for part in parts if isinstance(part, dict | list))


def _parsed(file: str, place: str, data: str | bytes) -> Any:
    try:
        return json.loads(data, object_pairs_hook=unique, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        raise _broken(file, place, error) from error


def _broken(file: str, place: str, error: Exception) -> DataFault:
    if isinstance(error, Twice):
        return DataFault(file, place, str(error), "remove one of the two")
    if isinstance(error, TooDeep):
        return DataFault(file, "", str(error), _AGAIN)
    if isinstance(error, UnicodeDecodeError):
        return DataFault(file, place, f"is not UTF-8 ({error.reason})", "save the file as UTF-8")
    reason = " ".join(str(error).split())[:160]
    return DataFault(file, place, f"is broken or cut off ({reason})", _AGAIN)


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")
