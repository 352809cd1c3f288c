"""Annotation files as they may come: what is harmless is read, what is wrong is one sentence."""

from __future__ import annotations

import io
import json
import os
import tracemalloc

import pytest

from workbench.data.official import reading
from workbench.data.official.lookup import Lookup, Seen
from workbench.data.official.nesting import Shallow, TooDeep
from workbench.data.official.rows import DataFault


def given(root, name, data):
    (root / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    return name


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ('[{"a": 1}, {"a": 1, "a": 2}]', "record 1: the key 'a' stands twice; remove one"),
        ('[{"a": {"b": 1, "b": 2}}]', "record 0: the key 'b' stands twice"),
        ('[{"a": 1}, {"a": NaN}]', "record 1: is broken or cut off"),
        ('[{"a": Infinity}]', "is broken or cut off"),
        ('[{"a": 1e999}]', "is broken or cut off"),
        ('[{"a": 1}, {"a": ', "record 1: is broken or cut off"),
        ('[{"a": 1}] more', "is broken or cut off"),
        ("[" * 5000, "is nested more than 72 deep"),
        ("[3]", "record 0: has to be an object, not 3"),
        ('[{"a": ' + "[" * 20_000 + "]" * 20_000 + "}]", "is nested more than 72 deep"),
        ('[{"a": ' + "[" * 65 + "]" * 65 + "}]", "record 0: is nested more than 64 deep"),
        ('[{"a": ' + "1" * 5000 + "}]", "is broken or cut off"),
        ('{"a": 1}', "holds no list of records"),
        ("", "is empty"),
        ("  \r\n", "is empty"),
        (b'[{"a": "\xff\xfe"}]', "is broken or cut off"),
        ('[{"a": 1}]'.encode("utf-16"), "is UTF-16; save it as UTF-8"),
        (b"\x1f\x8b\x08\x00", "is compressed"),
        (b"PK\x03\x04....", "is a zip archive"),
        ("<!DOCTYPE html><html>", "is a web page"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:1", "is a Git LFS pointer"),
    ],
)
def test_what_is_no_json_list_is_refused(tmp_path, data, says):
    with pytest.raises(DataFault, match=r"^x\.json") as raised:
        list(reading.json_rows(tmp_path, given(tmp_path, "x.json", data)))
    assert says in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("data", "prefix", "key"),
    [
        ('{"a": [{"n": 1}], "b": 3, "a" : [{"n": 2}]}', "a.item", "a"),
        ('{"d": {"x": [{"n": 1}]}, "d": {"x": [{"n": 2}]}}', "d.x.item", "d"),
        ('{"d": {"x": [{"n": 1}], "y": [], "x": [{"n": 2}]}}', "d.x.item", "x"),
        ('{"a": [' + ", ".join(['{"n": 1}'] * 30_000) + '], "a": [{"n": 2}]}', "a.item", "a"),
    ],
)
def test_a_key_that_stands_twice_above_the_records_is_refused(tmp_path, data, prefix, key):
    given(tmp_path, "x.json", data)
    with pytest.raises(DataFault, match=rf"x\.json: the key '{key}' stands twice; remove one of the two"):
        list(reading.json_rows(tmp_path, "x.json", prefix))


def test_the_same_key_in_other_places_is_no_repetition(tmp_path):
    rows = [{"a": [1], "text": 'say "a": ', "d": {"a": k}} for k in range(3)]
    name = given(tmp_path, "x.json", json.dumps({"d": {"a": 1}, "a": rows}))
    assert len(list(reading.json_rows(tmp_path, name, "a.item"))) == 3
    texts = given(tmp_path, "y.json", '{"d": {"a": ["x"]}, "d": {"a": ["y"]}}')
    with pytest.raises(DataFault, match="the key 'd' stands twice"):
        list(reading.json_texts(tmp_path, texts, "d.a.item"))


def test_harmless_oddities_are_read(tmp_path):
    text = '\ufeff{"info": {},\r\n "data": [{"ü": "snow\u2028man ☃ \\ud83d\\ude00"}]}'
    (row,) = reading.json_rows(tmp_path, given(tmp_path, "x.json", text), "data.item")
    assert row.text("ü") == "snow\u2028man ☃ 😀"


def test_a_missing_file_says_how_to_get_it(tmp_path):
    with pytest.raises(DataFault, match=r"absent\.json: is missing; `workbench data check"):
        list(reading.json_rows(tmp_path, "absent.json"))


def test_a_huge_line_of_json_is_streamed(tmp_path):
    rows = [{"n": n, "text": "x" * 1000} for n in range(5000)]
    found = reading.json_rows(tmp_path, given(tmp_path, "x.json", json.dumps({"data": rows})), "data.item")
    assert sum(row.number("n") for row in found) == sum(range(5000))


def test_a_line_beyond_the_limit_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "LONGEST_RECORD", 100)
    name = given(tmp_path, "x.jsonl", '{"a": 1}\n{"a": "' + "x" * 200 + '"}\n')
    with pytest.raises(DataFault, match="line 2: is longer than 100 bytes"):
        list(reading.line_rows(tmp_path, name))


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ('{"a": 1}\n{"a": 1, "a": 2}\n', "line 2: the key 'a' stands twice"),
        ('{"a": 1}\n\n{"a": NaN}\n', "line 3: is broken or cut off (NaN is no JSON)"),
        ('{"a": 1}\n{"a"', "line 2: is broken or cut off"),
        ("[1]\n", "line 1: has to be an object"),
        ('{"a": ' + "[" * 900 + "]" * 900 + "}\n", "line 1: is nested more than 64 deep"),
        ("[" * 900 + "]" * 900 + "\n", "line 1: has to be an object"),
        ('{"a": ' + "1" * 5000 + "}\n", "line 1: is broken"),
        (b'{"a": "\xff"}\n', "line 1: is not UTF-8"),
        ('{"a": ' + "[" * 100_000 + "\n", "line 1: is broken"),
    ],
)
def test_what_is_no_json_line_is_refused(tmp_path, data, says):
    with pytest.raises(DataFault) as raised:
        list(reading.line_rows(tmp_path, given(tmp_path, "x.jsonl", data)))
    assert says in str(raised.value)


def test_csv_is_read_with_windows_line_ends_quotes_and_line_breaks(tmp_path):
    text = '\ufeffq,a\r\n"What, then,\r\nis ""it""?",tea\r\n'
    (row,) = reading.csv_rows(tmp_path, given(tmp_path, "x.csv", text))
    assert row.text("q") == 'What, then,\nis "it"?'
    assert row.text("a") == "tea"
    wide = given(tmp_path, "wide.csv", "q,a\n" + "x" * 300_000 + ",tea\n")
    assert len(next(reading.csv_rows(tmp_path, wide)).text("q")) == 300_000


@pytest.mark.parametrize("data", ["q,a\n1,2\n1,2,3\n", "q,a\n1,2\n1\n", 'q,a\n1,2\n"1,2\n'])
def test_csv_rows_that_do_not_fit_are_named(tmp_path, data):
    with pytest.raises(DataFault, match=r"line [34]"):
        list(reading.csv_rows(tmp_path, given(tmp_path, "x.csv", data)))


def test_a_folder_in_place_of_a_file_is_named(tmp_path):
    (tmp_path / "x.jsonl").mkdir()
    with pytest.raises(DataFault, match=r"x\.jsonl: is not a file; put the file itself"):
        list(reading.line_rows(tmp_path, "x.jsonl"))


def test_numbers_that_no_database_holds_are_refused(tmp_path):
    text = '{"a": "' + "1" * 5000 + '", "b": ' + str(2**63) + "}\n"
    (row,) = reading.line_rows(tmp_path, given(tmp_path, "x.jsonl", text))
    for wrong in (lambda: row.number("a"), lambda: row.number("b"), lambda: row.name("b")):
        with pytest.raises(DataFault, match=r"line 1: the field '[ab]' has to be "):
            wrong()


def test_half_a_surrogate_is_refused(tmp_path):
    (row,) = reading.line_rows(tmp_path, given(tmp_path, "x.jsonl", '{"a": "\\ud83d"}'))
    with pytest.raises(DataFault, match="line 1: the field 'a' holds half a surrogate pair"):
        row.text("a")


def test_a_dict_by_name_may_hold_a_name_twice_but_no_key(tmp_path):
    pairs = reading.json_pairs(tmp_path, given(tmp_path, "x.json", '{"1": {"a": 1}, "1": {"a": 2}}'))
    assert [(key, row.number("a")) for key, row in pairs] == [("1", 1), ("1", 2)]  # seen by its reader
    with pytest.raises(DataFault, match="stands twice"):
        list(reading.json_pairs(tmp_path, given(tmp_path, "x.json", '{"1": {"a": 1, "a": 2}}')))
    with pytest.raises(DataFault, match="holds no records by name"):
        list(reading.json_pairs(tmp_path, given(tmp_path, "x.json", "[1]")))


def test_joins_keep_order_and_tell_what_was_seen():
    found = Lookup([("a", 1), ("b", {"x": "ü"}), ("a", 2)])
    assert (found.get("a"), found.get("c"), found.at(1)) == ([1, 2], [], {"x": "ü"})
    for wrong in (3, -1, 2**63, 10**30):
        with pytest.raises(IndexError):
            found.at(wrong)
    seen = Seen()
    assert [seen.add(key) for key in ("x", "y", "x")] == [True, True, False]
    assert list(seen) == ["x", "y"]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 65_536])
def test_depth_is_told_from_bytes_whatever_is_read_at_once(size):
    text = json.dumps([{"a": '[[[{"\\', "b\\\\": ["]]", {"c": [1, "\\"]}]}, "é[", '"']).encode()

    def whole(most):
        stream = Shallow(io.BytesIO(text), most)
        return b"".join(iter(lambda: stream.read(size), b""))

    assert whole(5) == text
    with pytest.raises(TooDeep, match="is nested more than 4 deep"):
        whole(4)


def test_a_file_of_brackets_takes_no_memory(tmp_path):
    name = given(tmp_path, "x.json", '{"a": ' + "[" * 80_000 + "]" * 80_000 + ', "b": [{"c": 1}]}')
    tracemalloc.start()
    with pytest.raises(DataFault, match=r"x\.json: is nested more than 72 deep; get the file again"):
        list(reading.json_rows(tmp_path, name, "b.item"))
    assert tracemalloc.get_traced_memory()[1] < 20e6
    tracemalloc.stop()


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "x.json")
    with pytest.raises(DataFault, match=r"x\.json: is not a file; put the file itself there"):
        list(reading.json_rows(tmp_path, "x.json"))
