"""Files of verdicts: what a person wrote is read exactly, or refused with the line."""

import csv
import io
from datetime import datetime, timedelta, timezone

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semdedup_spark.answers.audit import Removal, Verdict
from semdedup_spark.answers.overview import Shown
from semdedup_spark.errors import ConfigError
from semdedup_spark.report.verdict_files import read_verdicts, write_for_review

NOON = datetime(2026, 1, 2, 12, tzinfo=timezone.utc)
HEAD = "id,survivor_id,judgement,reviewer,judged_at\r\n"
HARD = [
    '"',
    '""',
    "\n",
    "\r",
    "\r\n",
    ",",
    ";",
    "=1+1",
    "@x",
    "\x00",
    "\ufeff",
    " a ",
    "😀",
    "</script>",
    "",
]
ANY = st.one_of(
    st.sampled_from(HARD), st.text(st.characters(exclude_categories=["Cs"]), max_size=9)
)


def removals(*pairs):
    return [
        Removal(Shown(a, f"text {a}", 0.9), Shown(b, f"text {b}", 1.0), b, 0.96, 0.95, "copies")
        for a, b in pairs
    ]


def quoted(rows):
    held = io.StringIO()
    csv.writer(held, quoting=csv.QUOTE_ALL).writerows(rows)
    return held.getvalue()


@pytest.fixture
def read(tmp_path):
    def read(text):
        path = tmp_path / "verdicts.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return read_verdicts(path)

    return read


def refused(read, text, *said):
    with pytest.raises(ConfigError) as error:
        read(text)
    for each in said:
        assert each in str(error.value)
    assert error.value.hint


@given(st.lists(st.tuples(ANY, ANY), max_size=5))
def test_ids_come_back_exactly(tmp_path_factory, pairs):
    path = tmp_path_factory.mktemp("verdicts") / "saved.csv"
    rows = [(a, b, "not", b, "2026-01-02T12:00:00.000Z") for a, b in pairs]
    path.write_bytes((HEAD + quoted(rows)).encode())
    assert read_verdicts(path) == [Verdict(a, b, "not", b, NOON) for a, b in pairs]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
@given(pairs=st.lists(st.tuples(ANY, ANY), min_size=1, max_size=5))
def test_a_file_written_for_review_is_read_back_where_it_was_filled_in(
    tmp_path_factory, suffix, pairs
):
    path = tmp_path_factory.mktemp("verdicts") / f"review{suffix}"
    write_for_review(removals(*pairs), path)
    assert read_verdicts(path) == []
    if suffix == ".csv":
        filled = path.read_bytes().replace(b'"copies","","",""', b'"copies","d","Ann",""')
        path.write_bytes(filled)
    else:
        table = pq.read_table(path)
        said = pa.array(["duplicate"] * len(pairs))
        place = table.column_names.index("judgement")
        pq.write_table(table.set_column(place, "judgement", said), path)
    read = read_verdicts(path)
    assert [(each.id, each.survivor_id) for each in read] == pairs
    assert {each.judgement for each in read} == {"duplicate"}


def test_a_file_for_review_has_the_columns_quoted_and_tells_spreadsheets_its_encoding(tmp_path):
    write_for_review(removals(("=1+1", 'say "ä"')), tmp_path / "review.csv")
    assert (tmp_path / "review.csv").read_bytes().decode() == (
        '\ufeff"id","survivor_id","text","survivor_text","similarity","survivor_similarity",'
        '"stratum","judgement","reviewer","judged_at"\r\n'
        '"=1+1","say ""ä""","text =1+1","text say ""ä""","0.96","0.95","copies","","",""\r\n'
    )


def test_a_parquet_file_for_review_has_types(tmp_path):
    for rows in (removals(("a", "b")), []):
        write_for_review(rows, tmp_path / "review.PARQUET")
        table = pq.read_table(tmp_path / "review.PARQUET")
        assert table.num_rows == len(rows)
        assert table.schema.field("similarity").type == pa.float64()
        assert table.schema.field("judged_at").type == pa.timestamp("us", "UTC")
        assert table.schema.field("judgement").type == pa.string()


def test_a_file_for_review_is_csv_or_parquet_by_its_name(tmp_path):
    with pytest.raises(ConfigError, match=r"must end in \.csv or \.parquet"):
        write_for_review([], tmp_path / "review.xlsx")
    assert list(tmp_path.iterdir()) == []


def test_what_utf8_cannot_write_becomes_a_question_mark(tmp_path):
    for name in ("review.csv", "review.parquet"):
        write_for_review(removals(("a\ud800", "b")), tmp_path / name)
    assert pq.read_table(tmp_path / "review.parquet")["id"].to_pylist() == ["a?"]
    assert '"a?"' in (tmp_path / "review.csv").read_text("utf-8")


def test_short_and_capital_judgements_are_understood_and_empty_ones_left_out(read):
    said = ["duplicate", "not", "skip", "d", "n", "s", " Not ", "D", "", "  "]
    got = read("judgement,id,survivor_id\n" + "".join(f"{each},{each},k\n" for each in said))
    assert [each.judgement for each in got] == [
        *("duplicate", "not", "skip") * 2,
        "not",
        "duplicate",
    ]
    assert {each.reviewer for each in got} == {""}


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_what_spreadsheets_save_is_read(read, end, separator):
    lines = ["id;survivor_id;judgement;note", '1;"a;b,c";d;"x"', ";;;", "", '2;5" disk;n;']
    text = "\ufeff" + end.join(lines)
    got = read(text.replace('"a;b,c"', "X").replace(";", separator).replace("X", '"a;b,c"'))
    assert [(each.id, each.survivor_id) for each in got] == [("1", "a;b,c"), ("2", '5" disk')]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("2026-01-02T12:00:00Z", NOON),
        ("2026-01-02T12:00:00.5z", NOON + timedelta(seconds=0.5)),
        ("2026-01-02T12:00:00.123456789Z", NOON + timedelta(microseconds=123456)),
        ("2026-01-02 12:00", NOON),
        ("2026-01-02T13:00:00+01:00", NOON),
        ("2026-01-02", NOON - timedelta(hours=12)),
    ],
)
def test_times_are_in_utc(read, written, expected):
    (got,) = read(HEAD + f"a,b,d,Ann,{written}")
    assert got.judged_at == expected
    assert got.judged_at.tzinfo is timezone.utc


def test_a_verdict_without_a_time_counts_from_when_it_is_read(read):
    before = datetime.now(timezone.utc)
    got = read(HEAD + "a,b,d,Ann,\nc,d,n,Ann, \n")
    assert before <= got[0].judged_at <= datetime.now(timezone.utc)
    assert got[0].judged_at < got[1].judged_at  # of the same pair the later line would count


LINES = 'a,"two\r\nlines",d,Ann,\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HEAD + LINES + "c,d,maybe,,", ["judgement must be", "'maybe' in line 4 of"]),
        (HEAD + LINES + "c,d,duplicat,,", ["line 4", "did you mean 'duplicate'"]),
        (HEAD + LINES + "c,d,n,,yesterday", ["judged_at must be", "'yesterday' in line 4"]),
        (HEAD + "c,d,n,,0001-01-01T00:00:00+14:00", ["judged_at must be", "line 2"]),
        (HEAD + LINES + "c,d,n", ["must have 5 values", "Got 3 in line 4"]),
        (HEAD + LINES + '"c,d,n,,', ['"quotes"', "begins in line 4"]),
        (HEAD + '"c"x,d,n,,', ['"quotes"', "begins in line 2"]),
        (
            "id,judgement\na,d",
            ["must have the columns id, survivor_id, judgement", "id, judgement"],
        ),
        ("id,id,survivor_id,judgement\n", ["each once"]),
        ("", ["has: no column"]),
        ("PK\x03\x04 a workbook", ["must have the columns"]),
        ((HEAD + LINES).encode() + b"f\xfc", ["0xfc in line 4", "UTF-8"]),
        ("a\n".encode("utf-16"), ["must be CSV in UTF-8", "line 1"]),
        (b"PAR1 but no more", ["cannot be read"]),
    ],
)
def test_what_is_no_verdict_is_refused_with_its_line_and_the_way_out(read, text, said):
    refused(read, text, "verdicts.csv", *said)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="must exist"):
        read_verdicts(tmp_path / "none.csv")
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError):
        read_verdicts(tmp_path / "folder")


def test_verdicts_in_parquet_are_read_whatever_their_types(tmp_path):
    columns = {
        "id": pa.array([1, 2, 3]),
        "survivor_id": pa.array(["7", "8", "9"]).dictionary_encode(),
        "judgement": ["d", None, "Not"],
        "reviewer": ["Ann", None, None],
        "judged_at": pa.array([1767355200_000000001] * 3, pa.timestamp("ns")),
        "more": [1, 2, 3],
    }
    expected = [Verdict("1", "7", "duplicate", "Ann", NOON), Verdict("3", "9", "not", "", NOON)]
    # A folder of files, in a path that looks like a partition.
    folder = tmp_path / "id=5" / "verdicts"
    folder.mkdir(parents=True)
    pq.write_table(pa.table(columns), folder / "part-0.parquet")
    assert read_verdicts(folder) == expected
    assert read_verdicts(folder / "part-0.parquet") == expected
    pq.write_table(pa.table({**columns, "id": pa.array([None, 2, 3])}), folder / "part-0.parquet")
    with pytest.raises(ConfigError, match=r"id must name a row\. Got none in row 1 of"):
        read_verdicts(folder)
    pq.write_table(pa.table({**columns, "judged_at": [True] * 3}), folder / "part-0.parquet")
    with pytest.raises(ConfigError, match="judged_at must be a time in ISO 8601"):
        read_verdicts(folder)
