"""CSV content is read unchanged, or refused with the setting to choose."""

from __future__ import annotations

import pytest

from semdedup_spark.errors import SourceError
from tests.sources.sourcefiles import opened


def read(spark, tmp_path, *files, **settings):
    """Rows (id, payload, reason) of a source of files with these contents."""
    for i, content in enumerate(files):
        in_bytes = content.encode() if isinstance(content, str) else content
        (tmp_path / f"{i}.csv").write_bytes(in_bytes)
    rows = opened(spark, format="csv", path=str(tmp_path), **settings).rows.collect()
    return {(row["id"], row["payload"], row["reason"]) for row in rows}


def refusal(spark, tmp_path, *files, **settings):
    with pytest.raises(SourceError) as caught:
        read(spark, tmp_path, *files, **settings)
    assert caught.value.exit_code == 2
    return str(caught.value)


BROKEN = 'id,text\n1,"first line\nsecond line"\n2,plain\n'


def test_a_line_break_in_quotes_is_read_or_refused_and_never_cuts_a_text(spark, tmp_path):
    for text in (BROKEN, BROKEN.replace("\n", "\r\n"), BROKEN.replace("\n", "\r")):
        assert '{multiLine: "true"}' in refusal(spark, tmp_path, text)
    found = read(spark, tmp_path, BROKEN, options={"multiLine": "true"})
    assert found == {("1", "first line\nsecond line", None), ("2", "plain", None)}


def test_a_quote_without_another_takes_no_rows_with_it(spark, tmp_path):
    text = 'id,text\n1,"open\n2,b\n'
    assert "0.csv has an unclosed quote" in refusal(
        spark, tmp_path, text, options={"multiLine": "true"}
    )
    found = read(spark, tmp_path, text, options={"quote": ""})
    assert found == {("1", '"open', None), ("2", "b", None)}


def test_fields_that_span_lines_end_at_their_closing_quotes(spark, tmp_path):
    across = {"options": {"multiLine": "true"}}
    text = 'id,text\n1,"abc\n2,"def\n3,ghi\n'  # as many quotes as a valid file
    assert "In 1 lines text follows" in refusal(spark, tmp_path, text, **across)
    escaped = {"options": {"multiLine": "true", "escape": "\\"}}
    text = 'id,text\n1,"a \\" b\\\nc"\n'
    assert refusal(spark, tmp_path, text, **across)
    assert read(spark, tmp_path, text, **escaped) == {("1", 'a " b\\\nc', None)}
    text = 'id,text\n1,5" disk\n2,"a\n\n,""b""" \n"3\n",6" disk\n4,"""\n"""\n'
    found = {key: payload for key, payload, _ in read(spark, tmp_path, text, **across)}
    assert found == {"1": '5" disk', "2": 'a\n\n,"b"', "3\n": '6" disk', "4": '"\n"'}


def test_lines_of_a_field_are_put_in_order_across_batches_and_splits(spark, tmp_path):
    rows = "".join(f'{i},"{"x" * 50}\n, {i} ""\n"\n' for i in range(3000))
    small = {
        "spark.sql.files.maxPartitionBytes": "50000",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "100",
    }
    before = {name: spark.conf.get(name) for name in small}
    options = {"multiLine": "true"}
    try:
        for name, value in small.items():
            spark.conf.set(name, value)
        assert len(read(spark, tmp_path, f"id,text\n{rows}", options=options)) == 3000
        broken = rows.replace(', 2000 ""', ', 2000 "" "x')
        assert "text follows" in refusal(spark, tmp_path, f"id,text\n{broken}", options=options)
    finally:
        for name, value in before.items():
            spark.conf.set(name, value)


def test_quotes_escaped_by_backslashes_need_the_option(spark, tmp_path):
    text = 'id,text\n1,"say \\"hi, you\\" now"\n'
    assert r'{escape: "\\"}' in refusal(spark, tmp_path, text)
    found = read(spark, tmp_path, text, options={"escape": "\\"})
    assert found == {("1", 'say "hi, you" now', None)}


def test_quotes_that_are_as_they_should_be_are_not_refused(spark, tmp_path):
    long = '"a""' + 'b,""' * 50_000 + '"'
    text = f'\ufeffid,text\r\n1,"a, ""b""" \r\n2,5" disk\r\n3,"C:\\dir\\"\r\n\r\n4,{long}\r\n'
    found = {key: payload for key, payload, _ in read(spark, tmp_path, text)}
    assert found == {"1": 'a, "b"', "2": '5" disk', "3": "C:\\dir\\", "4": 'a"' + 'b,"' * 50_000}


def test_rows_with_another_number_of_fields_are_quarantined_whole(spark, tmp_path):
    found = read(spark, tmp_path, "id,text,lang\n1,a,en,more\n2\n3,c,de\n", columns=["id"])
    bad = {(key, None, "unreadable_record") for key in "12"}
    assert found == {*bad, ("3", "c", None)}


def test_files_with_another_header_or_none_are_refused(spark, tmp_path):
    first = "id,text\n1,a\n"
    assert "id, text in" in refusal(spark, tmp_path, first, "text,id\nb,2\n")
    assert "2, b in" in refusal(spark, tmp_path, first, "2,b\n")
    assert "id, text, more in" in refusal(spark, tmp_path, first, "id,text,more\n2,b,c\n")
    same = read(spark, tmp_path, first, '\n"id","text"\n2,b\n')
    assert same == {("1", "a", None), ("2", "b", None)}


def test_types_in_another_order_than_the_header_are_refused(spark, tmp_path):
    text = "id,text\n1,a\n"
    for types in ("text string, id string", "id string", "id string, text string, more string"):
        problem = refusal(spark, tmp_path, text, types=types)
        assert "the header has id, text" in problem
    assert read(spark, tmp_path, text, types="ID long, text string", id="ID") == {(1, "a", None)}


def test_text_of_another_encoding_is_refused_until_it_is_named(spark, tmp_path):
    text = 'id,text\n1,caf\xe9\n2,"a\nb"\n'
    wanted = {("1", "caf\xe9", None), ("2", "a\nb", None)}
    problem = refusal(spark, tmp_path, text.encode("latin-1"))
    assert "encoding" in problem
    latin = {"encoding": "ISO-8859-1", "multiLine": "true"}
    assert read(spark, tmp_path, text.encode("latin-1"), options=latin) == wanted
    wide = {"encoding": "UTF-16"}
    assert read(spark, tmp_path, text.encode("utf-16"), options=wide) == wanted


def test_records_may_have_a_column_called_corrupt_record_if_the_reader_gets_another(
    spark, tmp_path
):
    for form, text in (
        ("csv", "id,text,_corrupt_record\n1,a,b\n2,c,\n"),
        ("jsonl", '{"id":"1","text":"a","_corrupt_record":"b"}\n{"id":"2","text":"c"}\n'),
    ):
        (tmp_path / form).mkdir()
        (tmp_path / form / "rows").write_text(text)
        place = {"format": form, "path": str(tmp_path / form)}
        with pytest.raises(SourceError, match="no column _corrupt_record") as caught:
            opened(spark, **place)
        assert "columnNameOfCorruptRecord" in caught.value.hint
        source = opened(spark, **place, options={"columnNameOfCorruptRecord": "_bad"})
        assert "_corrupt_record" in source.own_columns
        found = {row["id"]: row["source"]["_corrupt_record"] for row in source.rows.collect()}
        assert found == {"1": "b", "2": None}
