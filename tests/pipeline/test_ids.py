"""Ids given as text are read by one rule, whichever command they are given to."""

import inspect

import pytest
from pyspark.sql.types import ByteType, IntegerType, LongType, StringType

from semdedup_spark.errors import ConfigError
from semdedup_spark.pipeline.ids import parse_id, parse_ids, read_ids
from semdedup_spark.pipeline.operations import forget, override
from semdedup_spark.pipeline.queries import explain

NO_NUMBERS = [
    "1_0",
    " 10",
    "10 ",
    "+1",
    "1e1",
    "1.0",
    "0x1",
    "\u0661",
    "\u00b2",
    "",
    "-",
    "--1",
    "1\n",
]


def test_an_id_is_of_the_type_of_its_column():
    assert parse_id("0012", StringType()) == "0012"
    assert parse_id(" 1_0 ", StringType()) == " 1_0 "
    assert parse_id("0012", LongType()) == 12
    assert parse_id("-7", IntegerType()) == -7


@pytest.mark.parametrize("key", [*NO_NUMBERS, "row-1"])
def test_what_is_no_whole_number_in_digits_is_refused(key):
    with pytest.raises(ConfigError, match=r"must be a whole number.*bigint"):
        parse_id(key, LongType())


@pytest.mark.parametrize(
    ("key", "kind"),
    [("9223372036854775808", LongType()), ("-129", ByteType()), ("9" * 5000, LongType())],
)
def test_a_number_that_the_column_cannot_hold_is_refused(key, kind):
    with pytest.raises(ConfigError, match="from -"):
        parse_id(key, kind)


def test_bytes_that_are_no_text_are_refused():
    with pytest.raises(ConfigError, match="UTF-8"):
        parse_id("a\udcff", StringType())


def test_ids_come_once_each():
    assert parse_ids(["2", "1", "02"], LongType()) == [2, 1]


def test_only_line_ends_part_the_ids_of_a_file(tmp_path):
    path = tmp_path / "ids.txt"
    path.write_bytes("\ufeffa\x0bb\r\n\r\n c \x85\u2028d\r\n".encode())
    assert read_ids(path) == ["a\x0bb", " c \x85\u2028d"]
    path.write_bytes(b"a\r\nb\n")
    assert read_ids(path) == ["a\r", "b"]
    path.write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="UTF-8"):
        read_ids(path)


@pytest.mark.parametrize("command", [explain, forget, override])
def test_each_command_that_takes_ids_uses_this_rule(command):
    assert {"parse_id", "parse_ids"} & set(vars(command))
    assert "int(one)" not in inspect.getsource(command)
    assert "try_cast" not in inspect.getsource(command)
