"""One function for every kind of table: what stays, what goes, and why."""

from __future__ import annotations

import doctest
import inspect
import subprocess
import sys

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

import semdedup_spark
from semdedup_spark import deduplicate
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.errors import ConfigError, HorizonError, SourceError, UnknownRowError
from semdedup_spark.in_memory.contents import encoded_texts
from semdedup_spark.kernels.vectors import unit_rows
from tests.oracle import brute_force, kept_by_m, survivor

# 0 and 2 are near each other, 3 is near 2 only, 1 is alone.
ANGLES = np.array([0.0, 1.5, 0.2, 0.4])
FOUR = np.stack([np.cos(ANGLES), np.sin(ANGLES)], axis=1)
EPS = 0.03  # an angle of 0.2 is 0.98 similar, one of 0.4 is 0.92
TEXTS = [
    "the cat sat on the mat",
    "revenue grew by four percent in the last quarter",
    "the cat sat on the mat",
    " \u200b\t",
    None,
]


def frame(**columns):
    return pd.DataFrame({"doc": ["a", "b", "c", "d"], "v": list(FOUR), **columns})


def test_of_four_points_the_chain_goes_to_its_first():
    result = deduplicate(FOUR, eps=EPS)
    assert repr(result) == "Deduplicated(read=4, kept=2, removed=2, quarantined=0, eps=0.03)"
    assert len(result) == 2
    np.testing.assert_array_equal(result.kept, FOUR[:2])
    removed = result.removed.to_pydict()
    assert removed["id"] == [2, 3]
    assert removed["neighbor_id"] == [0, 2]
    assert removed["survivor_id"] == [0, 0]
    np.testing.assert_allclose(removed["similarity"], np.cos([0.2, 0.2]), atol=1e-6)
    np.testing.assert_allclose(removed["survivor_similarity"], np.cos([0.2, 0.4]), atol=1e-6)
    assignment = result.assignment.to_pydict()
    assert assignment["survivor_id"] == [0, 1, 0, 0]
    assert assignment["copies"] == [3, 1, None, None]
    assert assignment["reason"] == ["kept", "kept", "similarity", "similarity"]


def test_rows_say_why_they_are_kept_or_not():
    result = deduplicate(frame(), vector="v", id="doc", eps=EPS)
    told = result.explain("d")
    assert (told.fate, told.survivor_id) == ("removed", "a")
    assert [(link.id, link.neighbor_id) for link in told.chain] == [("d", "c"), ("c", "a")]
    assert str(told).splitlines()[1] == "  d is 0.9801 similar to c"
    assert result.explain("a").stands_for == ("c", "d")
    with pytest.raises(UnknownRowError, match="one of the 4 rows"):
        result.explain("e")


def test_the_order_says_who_stays_and_the_lowest_id_wins_ties():
    rows = frame(quality=[1, 5, 2, 2])
    for data in (rows, pa.Table.from_pandas(rows)):
        assert list(kept_ids(deduplicate(data, vector="v", id="doc", eps=EPS))) == ["a", "b"]
        best = deduplicate(data, vector="v", id="doc", eps=EPS, rank_by="quality DESC")
        assert list(kept_ids(best)) == ["b", "c"]
        last = deduplicate(data, vector="v", id="doc", eps=EPS, rank_by="doc DESC NULLS LAST")
        assert list(kept_ids(last)) == ["b", "d"]


def kept_ids(result):
    kept = result.kept
    return kept["doc"].to_pylist() if isinstance(kept, pa.Table) else kept["doc"]


@pytest.mark.parametrize("rank_by", ["random", "length(doc)", "quality + 1", "nothing"])
def test_an_order_that_needs_spark_is_refused_with_the_way_out(rank_by):
    with pytest.raises(ConfigError, match="must"):
        deduplicate(frame(quality=[1, 5, 2, 2]), vector="v", id="doc", rank_by=rank_by)


def test_another_threshold_needs_nothing_new_and_ends_at_the_horizon():
    result = deduplicate(FOUR, eps=EPS, eps_max=0.1)
    assert len(result.at(0.01)) == 4
    assert 3 <= len(result.keep(0.75)) <= 4  # the two at 0.98 may be equal
    assert len(result.keep(0.99)) == 4
    with pytest.raises(ValueError, match="larger eps_max"):
        result.at(0.2)
    with pytest.raises(HorizonError, match="eps_max"):
        result.keep(0.25)


@pytest.mark.parametrize("eps", [0, 1.5, -1, float("nan")])
def test_a_threshold_outside_0_and_1_is_refused_by_tune_as_by_the_job(eps):
    with pytest.raises(ConfigError, match=r"eps must be in \(0, 1\)"):
        deduplicate(FOUR, eps=EPS).tune([eps])


@pytest.mark.parametrize("share", [0.07, 0.29, 0.55, 0.58])
def test_a_share_to_keep_is_the_decimal_number_that_is_written(share):
    angles = np.radians(np.cumsum(np.linspace(0, 10, 100)))  # no two neighbors are equally near
    result = deduplicate(np.stack([np.cos(angles), np.sin(angles)], axis=1), eps_max=0.99)
    assert len(result.keep(share)) == round(100 * share)


def test_bad_vectors_are_set_aside_with_the_reasons_of_the_job():
    vectors = [[1.0, 0.0], None, [0.0, 0.0], [1.0, float("nan")], [1.0], [1.0, 0.01]]
    rows = pd.DataFrame({"doc": range(6), "v": vectors})
    result = deduplicate(rows, vector="v", id="doc")
    assert list(result.quarantined["id"]) == [1, 2, 3, 4]
    expected = ["null_vector", "zero_vector", "non_finite_vector", "wrong_length"]
    assert list(result.quarantined["reason"]) == expected
    assert (list(result.kept["doc"]), list(result.removed["id"])) == ([0], [5])
    assert result.explain(2).reason == "zero_vector"
    assert result.assignment["reason"].tolist()[1:5] == ["quarantined"] * 4
    nothing = deduplicate(rows.iloc[1:4], vector="v", id="doc")
    assert (len(nothing), len(nothing.quarantined)) == (0, 3)


def test_ids_that_do_not_tell_rows_apart_are_refused():
    for ids in (["a", "a", "b", "c"], ["a", None, "b", "c"]):
        with pytest.raises(SourceError, match="a value of its own in every row"):
            deduplicate(frame().assign(doc=ids), vector="v", id="doc")
        with pytest.raises(SourceError, match="a value of its own"):  # before texts are encoded
            deduplicate(frame().assign(doc=ids, t="x"), content="t", id="doc", encoder="nobody")


def test_what_another_table_has_goes_and_copies_within_stay():
    rows = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    other = np.array([[-1.0, 0.0], [0.01, 1.0]])
    result = deduplicate(rows, reference=other, eps=EPS)
    np.testing.assert_array_equal(result.kept, rows[:2])
    assert result.removed.to_pydict()["survivor_id"] == [1]
    assert result.explain(2).survivor_id == 1
    assert result.assignment.to_pydict()["copies"] == [1, 1, None]
    assert result.explain(0).stands_for == ()


@given(st.integers(1, 40), st.integers(0, 10**6), st.sampled_from([0.01, 0.1, 0.3]))
def test_what_stays_is_what_brute_force_keeps(n, seed, eps):
    random = np.random.default_rng(seed)
    X = random.standard_normal((n, 3))
    X[random.integers(0, n, n // 2)] = X[0]
    rank = random.integers(0, 5, n)
    rows = pd.DataFrame({"doc": np.arange(n), "v": list(X), "rank": rank})
    result = deduplicate(rows, vector="v", id="doc", eps=eps, rank_by="rank")
    order = np.lexsort((np.arange(n), rank))
    M, neighbor = brute_force(unit_rows(X).X[order])
    if np.any(np.abs(M - (1 - eps)) < 1e-6):
        return
    kept = kept_by_m(M, eps)
    assert set(result.kept["doc"]) == {order[j] for j in kept}
    ends = dict(zip(result.removed["id"], result.removed["survivor_id"], strict=True))
    for place in set(range(n)) - set(kept):
        assert ends[order[place]] == order[survivor(place, neighbor, M, eps)]
    assignment = result.assignment
    assert assignment["copies"].sum() == n
    assert (assignment["kept"] == assignment["id"].isin(result.kept["doc"])).all()


def test_texts_of_a_list_come_back_as_a_list_and_blank_ones_are_set_aside():
    result = deduplicate(TEXTS, eps=0.1)
    assert result.kept == TEXTS[:2]
    assert result.removed.to_pydict()["survivor_id"] == [0]
    assert result.quarantined.to_pydict() == {"id": [3, 4], "reason": ["empty_text", "null_text"]}


def test_several_columns_are_one_content():
    rows = pd.DataFrame(
        {
            "artist": ["Miles Davis", "Miles Davis", None, "Miles Davis"],
            "title": ["So What", "{artist}", None, "So What"],
        }
    )
    result = deduplicate(rows, content=["artist", "title"])
    assert list(result.kept.index) == [0, 1]
    assert list(result.quarantined["reason"]) == ["null_text"]
    named = deduplicate(rows, content=["artist", "title"], template="{artist}: {title}")
    assert list(named.kept.index) == [0, 1]
    with pytest.raises(SourceError, match=r"lacks \{title\}"):
        deduplicate(rows, content=["artist", "title"], template="{artist}")
    with pytest.raises(SourceError, match="did you mean 'title'"):
        deduplicate(rows, content="titel")


def test_what_is_no_table_is_refused():
    with pytest.raises(SourceError, match="Got dict"):
        deduplicate({"a": 1})
    with pytest.raises(SourceError, match="Got str"):
        deduplicate("a text")


def test_texts_have_the_same_vectors_in_any_number_of_threads_and_torch_keeps_its_own():
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    texts = [f"number {i % 700} of many texts" for i in range(1500)]
    texts[3], texts[4] = None, " "
    one, three = (
        encoded_texts(texts, EncoderSpec("minilm", device="cpu"), threads=n) for n in (1, 3)
    )
    assert torch.get_num_threads() == 2
    torch.set_num_threads(before)
    np.testing.assert_array_equal(one.X, three.X)
    assert one.reasons == three.reasons
    assert one.reasons[3:6] == ["null_text", "empty_text", None]
    assert len(one.X) == 1498
    np.testing.assert_array_equal(one.X[0], one.X[698])  # rows 0 and 700 hold one text


def test_every_public_name_can_be_found():
    assert set(semdedup_spark.__all__) <= set(dir(semdedup_spark))


@pytest.mark.parametrize(
    "name", ["cluster_vectors", "deduplicate", "parse_config", "score_vectors"]
)
def test_the_examples_of_a_docstring_run(name):
    given = inspect.getdoc(getattr(semdedup_spark, name))
    examples = doctest.DocTestParser().get_doctest(given, {}, name, None, None)
    assert len(examples.examples) > 2
    assert doctest.DocTestRunner().run(examples).failed == 0


def test_texts_and_vectors_need_neither_pillow_nor_spark():
    code = (
        "import sys\n"
        "sys.modules.update(dict.fromkeys(('PIL', 'pyspark', 'delta')))  # as if not installed\n"
        "import numpy as np\n"
        "from semdedup_spark import deduplicate\n"
        "print(deduplicate(np.eye(3)), deduplicate(['', ' ']))\n"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.count("Deduplicated(read=") == 2
