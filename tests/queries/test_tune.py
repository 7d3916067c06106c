"""`semdedup tune`: exact shares at every threshold, exact thresholds for shares."""

import json

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from semdedup_spark.cli import cli
from semdedup_spark.errors import ConfigError, SourceError
from semdedup_spark.pipeline.queries.tune import run_tune, shares_by_size, shares_by_value
from semdedup_spark.transforms.queries.thresholds import (
    NEAREST,
    cell_counts,
    nearest_known,
    order_statistics,
)
from semdedup_spark.transforms.select.threshold import eps_for_kept
from tests.oracle import brute_force

SCORES = "id long, neighbor_id long, max_similarity float"


@pytest.fixture(scope="module")
def tuning(finished):
    return run_tune(finished.job(), by="site")


@pytest.fixture(scope="module")
def M(finished):  # noqa: N802  the score
    return np.array([r[0] for r in finished.table("scores").select("max_similarity").collect()])


def test_kept_fractions_are_those_of_the_rule(tuning, M):
    assert tuning.rows == len(M) == 240
    assert 0.05 in [t.eps for t in tuning.thresholds]  # the selected one is always asked
    for at in tuning.thresholds:
        assert at.removed == (M > 1 - at.eps).sum()
        assert at.kept == pytest.approx((M <= 1 - at.eps).mean())
    for eps, kept in tuning.curve:
        assert kept == pytest.approx((M <= 1 - eps).mean())


def test_an_eps_for_a_kept_fraction_keeps_at_least_that_and_no_larger_one_does(tuning, M):
    reached = [t for t in tuning.targets if t.limit is None]
    assert reached
    for target in reached:
        assert target.kept == (M <= 1 - target.eps).mean() >= target.wanted
        assert (M <= 1 - target.eps - 1e-7).mean() < target.wanted


def test_eps_is_the_one_that_select_would_take(finished, tuning):
    for target in tuning.targets:
        row = eps_for_kept(finished.table("scores"), target.wanted, 0.3).first()
        assert row["eps"] == (1.0 if target.eps is None else target.eps)


def test_a_share_is_the_decimal_number_that_is_written_for_tune_and_for_select(spark):
    scores = spark.createDataFrame([(i, 0, i / 128) for i in range(100)], SCORES)
    for share in (0.07, 0.55):  # 100 * 0.07 is more than 7 as a binary number
        (found,) = order_statistics(scores, [share], 100).first()["quantiles"]
        assert found == (round(100 * share) - 1) / 128
        assert eps_for_kept(scores, share, 1.0).first()["eps"] == 1 - found


def test_a_fraction_that_exact_copies_forbid_says_so(finished, tuning, M):
    assert tuning.copies == (M == 1).sum() > 0
    (target,) = run_tune(finished.job(), keep_grid=[0.9999]).targets
    assert target.limit == "copies"
    assert target.kept == (M < 1).mean() < 0.9999


def test_a_fraction_beyond_the_horizon_says_so(finished):
    (target,) = run_tune(finished.job(), keep_grid=[0.1]).targets
    assert target.limit == "horizon"
    assert target.eps is None or target.eps > 0.3


def test_the_histogram_counts_every_row_once(tuning, M):
    low, high, rows = map(np.array, zip(*tuning.histogram, strict=True))
    assert rows.sum() == len(M)
    inside = [((M > a) & (M <= b)).sum() for a, b in zip(low[1:], high[1:], strict=True)]
    assert rows[1:].tolist() == inside


def test_shares_by_source_add_up_to_those_of_all(finished, tuning):
    assert {each.source for each in tuning.sources} == {"a.example", "b.example"}
    rows = np.array([each.rows for each in tuning.sources])
    kept = np.array([each.kept for each in tuning.sources])
    whole = [at.kept for at in tuning.thresholds]
    np.testing.assert_allclose(rows @ kept / rows.sum(), whole)


def test_a_column_that_is_not_there_is_refused(finished):
    with pytest.raises(SourceError, match=r"--by must name a column.*'sight'"):
        run_tune(finished.job(), by="sight")


@pytest.mark.parametrize("option", ["eps_grid", "keep_grid"])
def test_values_outside_0_and_1_are_refused(finished, option):
    with pytest.raises(ConfigError, match=r"in \(0, 1\). Got 1.5"):
        run_tune(finished.job(), **{option: [1.5]})


@given(
    st.lists(st.sampled_from(np.linspace(0, 1, 9, dtype=np.float32).tolist()), min_size=1),
    st.lists(st.floats(0.01, 0.99), min_size=1, max_size=5),
)
def test_places_of_order_statistics_are_those_of_the_sorted_rows(values, fractions):
    """The arithmetic that asks percentile at a row, done here by numpy as Spark does it."""
    import math

    ordered, n = np.sort(np.array(values)), len(values)
    for f in fractions:
        place = (math.ceil(round(f * n, 9)) - 1) / max(n - 1, 1)
        at = np.quantile(ordered, min(max(place, 0), 1))
        smallest = next(v for v in ordered if (ordered <= v).mean() >= f - 1e-12)
        assert np.float32(at) == np.float32(smallest)


def test_many_equal_scores_go_together(spark):
    rows = [(i, None, m) for i, m in enumerate([0.0] * 3 + [0.5] * 4 + [1.0] * 3)]
    scores = spark.createDataFrame(rows, SCORES)
    row = order_statistics(scores, [0.2, 0.3, 0.31, 0.7, 0.71], 10).first()
    assert row["quantiles"] == [0.0, 0.0, 0.5, 0.5, 1.0]
    assert row["below_one"] == 0.5
    cells = {r["cell"]: r["rows"] for r in cell_counts(scores, "max_similarity", [0.5]).collect()}
    assert cells == {0: 7, 1: 3}  # strictly above only


def test_rows_in_groups_are_a_lower_bound_of_the_rows_with_a_duplicate(spark):
    rng = np.random.default_rng(3)
    X = rng.standard_normal((60, 3))
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    M, neighbor = brute_force(X.astype(np.float32), [0] * len(X))
    rows = [(i, None if neighbor[i] < 0 else int(neighbor[i]), float(M[i])) for i in range(len(X))]
    near = nearest_known(spark.createDataFrame(rows, SCORES)).collect()
    known = np.array([r[NEAREST] for r in sorted(near)])
    S = X @ X.T
    np.fill_diagonal(S, -1)
    for eps in (0.01, 0.05, 0.1):
        certain = known > 1 - eps
        assert not (certain & ~(S.max(axis=1) > 1 - eps - 1e-6)).any()
        # Exact for the removed rows and their neighbors.
        removed = np.array(M) > 1 - eps
        expected = removed.copy()
        expected[[neighbor[i] for i in np.flatnonzero(removed)]] = True
        assert certain.tolist() == expected.tolist()


def test_both_sides_count_the_rows_with_a_duplicate_exactly(finished):
    rows = finished.table("embeddings").join(finished.table("scores"), "id").collect()
    X = np.array([row["embedding"] for row in rows])
    clusters = np.array([row["cluster_id"] for row in rows])
    S = np.where(clusters[:, None] == clusters[None, :], X @ X.T, -1)
    np.fill_diagonal(S, -1)
    nearest = S.max(axis=1)
    exact = run_tune(finished.job(), both_sides=True)
    least = run_tune(finished.job())
    assert exact.in_groups_exact
    assert not least.in_groups_exact
    for at, bound in zip(exact.thresholds, least.thresholds, strict=True):
        counted = round(at.in_groups * len(X))
        assert (nearest > 1 - at.eps + 2e-6).sum() <= counted <= (nearest > 1 - at.eps - 2e-6).sum()
        assert counted >= round(bound.in_groups * len(X))
    assert any(
        a.in_groups > b.in_groups for a, b in zip(exact.thresholds, least.thresholds, strict=True)
    )


def test_the_command_prints_tables_json_and_a_picture(finished, tmp_path):
    base = ["tune", "--config", str(finished.job_file)]
    shown = CliRunner().invoke(cli, [*base, "--by", "site"])
    assert shown.exit_code == 0, shown.output
    for words in ("eps", "in groups", "to keep", "a.example"):
        assert words in shown.output
    picture = tmp_path / "tune.png"
    done = CliRunner().invoke(
        cli, [*base, "--eps", "0.04", "--json", "--figure", str(picture)], catch_exceptions=False
    )
    printed = json.loads(done.stdout)
    assert [at["eps"] for at in printed["thresholds"]] == [0.04]
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert [file.name for file in tmp_path.iterdir()] == ["tune.png"]


def test_a_picture_that_cannot_be_written_is_refused_at_once(finished, tmp_path):
    where = str(tmp_path / "nowhere" / "tune.png")
    with pytest.raises(ConfigError, match="--figure must name a file in a directory that exists"):
        CliRunner().invoke(
            cli,
            ["tune", "--config", str(finished.job_file), "--figure", where],
            catch_exceptions=False,
        )


def test_values_that_read_like_the_words_for_the_rest_and_for_null_are_counted_by_themselves(spark):
    values = ["(other)"] * 3 + ["(null)"] * 4 + [None] * 5 + [""] * 6 + [" a"] * 2
    values += [f"v{i:02d}" for i in range(50)]
    rows = [(value, 0.99 if value == "(other)" else 0.0) for value in values]
    sourced = spark.createDataFrame(rows, "group string, max_similarity float")
    shares = shares_by_value(sourced, [0.05])
    named = {each.name: each for each in shares}
    assert len(named) == len(shares) == 41
    own, rest = named["'(other)'"], named["(other)"]
    assert (own.source, own.rows, own.kept, own.others) == ("(other)", 3, [0.0], False)
    assert (rest.source, rest.rows, rest.kept, rest.others) == (None, 70 - 20 - 35, [1.0], True)
    assert (named["(null)"].source, named["(null)"].rows) == (None, 5)
    assert (named["'(null)'"].source, named["'(null)'"].rows) == ("(null)", 4)
    assert (named["''"].rows, named["' a'"].rows) == (6, 2)
    assert sum(each.rows for each in shares) == len(values)


def test_smaller_corpora_are_the_first_rows_of_a_random_order(spark):
    rng = np.random.default_rng(0)
    keys = rng.integers(-(2**63), 2**63, size=4000)
    M = rng.random(4000).astype(np.float32)
    scores = spark.createDataFrame(
        list(zip(keys.tolist(), M.tolist(), strict=True)), "rank_key long, max_similarity float"
    )
    sizes = shares_by_size(scores, [0.1, 0.3])
    assert sizes[-1].rows == 4000
    place = (keys.astype(np.float64) + 2.0**63) / 2.0**64
    for halved, each in enumerate(reversed(sizes[-6:])):
        inside = M[place <= 2.0**-halved].astype(np.float64)
        assert each.rows == len(inside)
        assert each.kept == pytest.approx([(inside <= 1 - eps).mean() for eps in (0.1, 0.3)])


def test_sizes_are_refused_where_the_order_is_not_random(finished):
    with pytest.raises(ConfigError, match=r"--by-size needs scores with rank_by random"):
        run_tune(finished.job(), by_size=True)
