"""Every number of the configuration is refused with a sentence, or can be worked with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, get_args, get_origin

import numpy as np
import pytest
import yaml
from pydantic import BaseModel

from semdedup_spark.config import JobConfig, parse_config
from semdedup_spark.encoders.stream.time_limit import TimeLimit
from semdedup_spark.errors import ConfigError
from semdedup_spark.in_memory.score import score_vectors
from semdedup_spark.kernels.cluster.train import Training, train
from semdedup_spark.kernels.commit_size import next_rows
from semdedup_spark.kernels.pruning import choose_rows, hash_ids
from semdedup_spark.kernels.score.borders import Prober

ABSURD = ["1e300", "1.0e+300", "-1", str(2**63), ".nan", ".inf", "-.inf", "1e400", "1" + 400 * "0"]


def members(kind: Any, bounds: tuple[Any, ...]) -> Iterator[tuple[Any, tuple[Any, ...]]]:
    """The types that a value may have, each with its limits."""
    if get_origin(kind) is Annotated:
        inner, *more = get_args(kind)
        yield from members(inner, (*bounds, *more))
    elif get_args(kind) and get_origin(kind) not in (list, dict):
        for member in get_args(kind):
            yield from members(member, bounds)
    elif get_origin(kind) is dict:
        yield from members(get_args(kind)[1], bounds)
    else:
        yield kind, bounds


def numbers(model: type[BaseModel], path: str = "") -> Iterator[tuple[str, list[Any]]]:
    """Each key that may be a number, and the limits of that number."""
    for name, field in model.model_fields.items():
        for kind, bounds in members(field.annotation, tuple(field.metadata)):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from numbers(kind, f"{path}{name}.")
            elif kind in (int, float):
                yield f"{path}{name}", [b for at in bounds for b in getattr(at, "metadata", [at])]


KEYS = {path: bounds for path, bounds in numbers(JobConfig) if path.split(".")[0] != "reference"}


def loaded(path: str, value: str) -> JobConfig:
    """The configuration with one key, whose value is YAML."""
    part, name, *inner = path.split(".")
    source = {"kind": "vectors", "table": "t", "id": "i", "content": "v"}
    tree: dict[str, Any] = {"output": "out", "source": source, "embed": {"encoder": "none"}}
    if name == "max_review":  # it limits what this lists
        tree[part] = {"review": 0.1}
    keys = [*inner, *(["a"] if name == "max_removed_fraction_by" else [])]
    given = yaml.safe_load(f"{{{keys[0]}: {value}}}" if keys else value)
    tree[part] = {**tree.get(part, {}), name: given}
    return parse_config(tree)


def test_all_numbers_are_found():
    assert {"embed.decode_seconds", "cluster.n_clusters", "score.recall.probes"} <= KEYS.keys()
    assert {"source.version", "select.max_removed_fraction_by", "prune.n_bins"} <= KEYS.keys()
    assert len(KEYS) > 25


@pytest.mark.parametrize("path", KEYS)
def test_every_number_has_a_lowest_and_a_highest_value(path):
    limits = {name for b in KEYS[path] for name in ("gt", "ge", "lt", "le") if hasattr(b, name)}
    assert limits & {"gt", "ge"}
    assert limits & {"lt", "le"}


@pytest.mark.parametrize("value", ABSURD)
@pytest.mark.parametrize("path", KEYS)
def test_an_absurd_number_is_refused_by_the_name_of_its_key(path, value):
    named = path.removesuffix(".probes")
    with pytest.raises(ConfigError, match=rf"{named}\S* must be .*(at most|less than) .*\. Got "):
        loaded(path, value)


@pytest.mark.parametrize("path", KEYS)
def test_nothing_and_the_limits_themselves_are_refused_in_words_or_taken(path):
    limits = [getattr(b, n) for b in KEYS[path] for n in ("ge", "le") if hasattr(b, n)]
    for value in limits:
        assert isinstance(loaded(path, str(value)), JobConfig)
    try:
        loaded(path, "0")
    except ConfigError as error:
        assert "must be" in str(error)  # noqa: PT017  either is right


def test_the_largest_numbers_work_where_they_are_used():
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 4)).astype(np.float32)
    X /= np.linalg.norm(X, axis=1, keepdims=True)
    most = {path: b.le for path, bounds in KEYS.items() for b in bounds if hasattr(b, "le")}
    seed, bins = most["cluster.seed"], most["prune.n_bins"]
    training = Training(seed, most["cluster.max_iterations"], float(most["cluster.tolerance"]))
    assert train(X, 3, training, 1).centroids.shape == (3, 4)
    assert len(Prober(X[:3], eps_max=0.3, budget=most["score.recall.probes"])(X).assignment.labels)
    assert len(score_vectors(X, n_clusters=most["cluster.n_clusters"], seed=seed).labels) == 60
    keys = hash_ids(np.arange(60), most["prune.seed"])
    assert choose_rows(X[:, 0], keys, 6, "stratified", n_bins=bins).sum() == 6
    assert next_rows([(512, 1e-9)], target_seconds=most["embed.commit_seconds"]) >= 32
    limit = TimeLimit(_Echo(), most["embed.decode_seconds"])  # type: ignore[arg-type]
    assert limit.prepare(["a", "b"]) == ["a", "b"]


class _Echo:
    def prepare(self, payloads):
        return list(payloads)
