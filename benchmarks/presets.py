"""What the presets of ``select.must_agree`` do to pairs that people labelled: precision and recall
of the pairs above a threshold, with and without each preset.

``python benchmarks/presets.py``
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import numpy.typing as npt
from labelled import Labelled, abt_buy, cora
from measuring import Clock, print_table, write_json
from pyspark.sql import SparkSession
from pyspark.sql import functions as F
from sparkjobs import session
from vectors import CACHE, DATA, FloatArray, cached_vectors

from semdedup_spark.demo.docstrings import collect_docstrings
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.presets import PRESETS
from semdedup_spark.transforms.select.agreement import Agreement, agreement_values

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
_FOLDER = click.Path(path_type=Path, file_okay=False)
_HEADER = ["what must agree", "texts with it", "pairs", "precision", "recall", "cosine alone"]
_SAME = 4.0  # people's score of 5 from which two sentences of STS-B count as the same
_DEMO_ROWS = 8_000
_AUDIT = Path(__file__).parent / "audit" / "docstrings.csv"
_PLAIN = "nothing"
# What must agree, by the name of its row.
ASKED = {
    r"the pattern \d+": [Agreement("text", pattern=r"\d+")],
    **{name: [Agreement("text", preset=preset)] for name, preset in PRESETS.items()},
    "numbers, negation": [Agreement("text", preset=PRESETS[n]) for n in ("numbers", "negation")],
}


@dataclass(frozen=True)
class Pairs:
    """Texts, and pairs of them by their places; ``same``: whether people call a pair the same."""

    name: str
    texts: list[str]
    left: IntArray
    right: IntArray
    same: BoolArray


def all_pairs(truth: Labelled) -> Pairs:
    """Every two rows of a labelled set."""
    entity = np.array([truth.entity[row] for row in truth.texts])
    left, right = np.triu_indices(len(entity), 1)
    return Pairs(truth.name, list(truth.texts.values()), left, right, entity[left] == entity[right])


def sts_pairs(data: Path) -> Pairs:
    """The pairs of STS-B, all three splits."""
    rows: list[list[str]] = []
    for split in ("train", "dev", "test"):
        path = data / "stsb_en" / f"stsb-en-{split}.csv"
        with path.open(newline="", encoding="utf-8") as file:
            rows += csv.reader(file)
    place: dict[str, int] = {}
    ends = np.array([[place.setdefault(text, len(place)) for text in row[:2]] for row in rows])
    same = np.array([float(row[2]) >= _SAME for row in rows])
    return Pairs("STS-B", list(place), ends[:, 0], ends[:, 1], same)


def audited_pairs(verdicts: Path) -> Pairs:
    """The removals of the demo that were judged, see audit/README.md. They were drawn in groups,
    more of those that are less similar, so that shares of them are not shares of all removals.
    """
    texts = {row.id: row.text for row in collect_docstrings(_DEMO_ROWS)}
    with verdicts.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["judgement"] != "skip"]
    known = [row for row in rows if row["id"] in texts and row["survivor_id"] in texts]
    click.echo(f"{len(known):,} of {len(rows):,} judged pairs have both texts here")
    place: dict[str, int] = {}
    names = [[row["id"], row["survivor_id"]] for row in known]
    ends = np.array([[place.setdefault(name, len(place)) for name in pair] for pair in names])
    same = np.array([row["judgement"] == "duplicate" for row in known])
    return Pairs("audited docstrings", [texts[i] for i in place], ends[:, 0], ends[:, 1], same)


def agreed(spark: SparkSession, pairs: Pairs) -> dict[str, tuple[int, BoolArray]]:
    """By what must agree: in how many texts it finds anything, and whether each pair agrees."""
    rows = spark.createDataFrame(list(enumerate(pairs.texts)), "id int, text string")
    rows = rows.select("id", F.struct("text").alias("source"))
    asked = [agreement for agreements in ASKED.values() for agreement in agreements]
    found = [tuple(row["value"]) for row in agreement_values(rows, asked).orderBy("id").collect()]
    result, first = {}, 0
    for name, agreements in ASKED.items():
        values = [tuple(map(tuple, row[first : first + len(agreements)])) for row in found]
        first += len(agreements)
        known: dict[tuple[tuple[str, ...], ...], int] = {}
        code = np.array([known.setdefault(value, len(known)) for value in values])
        finds = sum(any(value) for value in values)
        result[name] = (finds, code[pairs.left] == code[pairs.right])
    return result


def measured(
    pairs: Pairs, X: FloatArray, agree: dict[str, tuple[int, BoolArray]], eps: float
) -> Iterator[tuple[str, int | None, int, float, float, float]]:
    """Rows of the table: of the pairs above ``1 - eps`` those that agree. The last column is the
    precision of cosine alone, at the threshold where its recall is the same.
    """
    cosine = np.einsum("ij,ij->i", X[pairs.left], X[pairs.right])
    hits = np.cumsum(pairs.same[np.argsort(-cosine, kind="stable")])
    above, total = cosine > 1 - eps, int(pairs.same.sum())
    everything = {_PLAIN: (None, np.ones(len(cosine), dtype=bool)), **agree}
    for name, (finds, agreeing) in everything.items():
        chosen = above & agreeing
        right = int((chosen & pairs.same).sum())
        alone = right / (int(np.searchsorted(hits, right)) + 1) if right else 1.0
        yield name, finds, int(chosen.sum()), right / max(chosen.sum(), 1), right / total, alone


@click.command(help=__doc__)
@click.option("--data", type=_FOLDER, default=DATA, show_default=True)
@click.option("--cache", type=_FOLDER, default=CACHE, show_default=True)
@click.option("--eps", "thresholds", type=float, multiple=True, default=(0.05, 0.1, 0.2))
@click.option("--cores", default=2, show_default=True)
@click.option("--json", "json_file", type=click.Path(path_type=Path, dir_okay=False))
def main(
    data: Path, cache: Path, thresholds: Sequence[float], cores: int, json_file: Path | None
) -> None:
    """See the module."""
    if not (data / "entity_matching").is_dir() or not (data / "stsb_en").is_dir():
        click.echo(f"skipped: {data} does not have entity_matching and stsb_en")
        return
    spark, results = session(cores), {}
    labelled = (all_pairs(abt_buy(data)), all_pairs(cora(data)), sts_pairs(data))
    for pairs in (*labelled, audited_pairs(_AUDIT)):
        with Clock(f"{pairs.name}: {len(pairs.texts):,} texts, encoded"):
            X = cached_vectors(cache, "presets", EncoderSpec("minilm", device="cpu"), pairs.texts)
        with Clock(f"{pairs.name}: what must agree"):
            agree = agreed(spark, pairs)
        for eps in thresholds:
            rows = list(measured(pairs, X, agree, eps))
            results[f"{pairs.name}, eps {eps}"] = rows
            title = f"{pairs.name}, eps {eps}: {len(pairs.same):,} pairs, {pairs.same.sum():,} same"
            print_table(title, _HEADER, rows)
    write_json(json_file, {"rows": results})


if __name__ == "__main__":
    main()
