"""Duplicates that people labelled, found by minilm as eps moves: Abt-Buy, Cora, captions of one
picture; STS-B by score.

``python benchmarks/labelled.py --figure labelled.png``
"""

from __future__ import annotations

import csv
import gzip
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import networkx as nx
import numpy as np
import pandas as pd
from deltalake import DeltaTable
from measuring import Clock, print_table, write_json
from vectors import DATA

from semdedup_spark import open_job, open_session, parse_config, run_job
from semdedup_spark.encoders.protocol import EncoderSpec
from semdedup_spark.encoders.registry import load_encoder
from semdedup_spark.encoders.stream.encoded_batch import encode_payloads
from semdedup_spark.kernels.select.survivors import last_of_chain
from semdedup_spark.report.figures import ACCENT, MARK, as_png, new_figure, styled

EPS = (0.01, 0.02, 0.03, 0.05, 0.07, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5)
_BANDS = ((0.0, 1.0), (1.0, 2.0), (2.0, 3.0), (3.0, 4.0), (4.0, 4.5), (4.5, 5.01))
_FOLDER = click.Path(path_type=Path, file_okay=False)
_FILE = click.Path(path_type=Path, dir_okay=False)


@dataclass(frozen=True)
class Labelled:
    """``texts``: by id; ``entity``: by id, a number that duplicates share."""

    name: str
    texts: dict[str, str]
    entity: dict[str, int]

    @property
    def surplus(self) -> int:
        """Rows that go where each entity keeps one row."""
        return len(self.texts) - len(set(self.entity.values()))


def labelled(name: str, texts: dict[str, str], pairs: Sequence[tuple[str, str]]) -> Labelled:
    """Entities are the connected components of the labelled pairs."""
    graph = nx.Graph()
    graph.add_nodes_from(texts)
    graph.add_edges_from(pair for pair in pairs if pair[0] in texts and pair[1] in texts)
    entity = {
        row: number for number, rows in enumerate(nx.connected_components(graph)) for row in rows
    }
    return Labelled(name, texts, entity)


def abt_buy(data: Path) -> Labelled:
    """Products of two shops by their names."""
    folder = data / "entity_matching" / "der" / "abtbuy"
    texts = {row["id"]: row["name"] for row in _rows(folder / "abtbuy.csv", ",")}
    pairs = [(row["idAbt"], row["idBuy"]) for row in _rows(folder / "gt.csv", ",")]
    return labelled("Abt-Buy", texts, pairs)


def cora(data: Path) -> Labelled:
    """Citations by author, title, venue and year."""
    folder = data / "entity_matching" / "der" / "cora"
    texts = {
        row["Entity Id"]: " ".join(row[k] for k in ("author", "title", "venue", "year") if row[k])
        for row in _rows(folder / "cora.csv", "|")
    }
    with (folder / "cora_gt.csv").open(newline="", encoding="utf-8") as file:
        pairs = [(row[0], row[1]) for row in csv.reader(file, delimiter="|")]
    return labelled("Cora", texts, pairs)


def captions(data: Path, n_images: int) -> Labelled:
    """What some five people each wrote of the same picture; of the first pictures by number."""
    path = data / "coco_captions_val2017" / "captions_val2017.json.gz"
    with gzip.open(path, "rt", encoding="utf-8") as file:
        rows = json.load(file)["annotations"]
    images = sorted({row["image_id"] for row in rows})[:n_images]
    chosen = sorted((row["image_id"], row["id"], row["caption"].strip()) for row in rows)
    of_image: dict[int, list[str]] = {image: [] for image in images}
    texts = {}
    for image, key, caption in chosen:
        if image in of_image and caption:
            of_image[image].append(str(key))
            texts[str(key)] = caption
    pairs = [(keys[0], key) for keys in of_image.values() for key in keys[1:]]
    return labelled("captions", texts, pairs)


def _rows(path: Path, separator: str) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8", errors="replace") as file:
        return list(csv.DictReader(file, delimiter=separator))


@dataclass(frozen=True)
class Found:
    """At each eps: rows ``removed``; of these the share whose survivor is the same entity
    (``precision``); of the surplus rows the share rightly removed (``recall``).
    """

    removed: list[int]
    precision: list[float]
    recall: list[float]


def found_at_each(scores: pd.DataFrame, truth: Labelled) -> Found:
    """``scores``: of a job that compared all pairs."""
    place = {row: i for i, row in enumerate(scores["id"])}
    entity = np.array([truth.entity[row] for row in scores["id"]])
    neighbor = np.array([place.get(row, -1) for row in scores["neighbor_id"]], dtype=np.int64)
    M = scores["max_similarity"].to_numpy().astype(np.float64)
    found = Found([], [], [])
    for eps in EPS:
        removed = M > 1 - eps
        survivor = last_of_chain(np.where(removed, neighbor, -1))
        right = removed & (entity == entity[survivor])
        found.removed.append(int(removed.sum()))
        found.precision.append(float(right.sum() / max(removed.sum(), 1)))
        found.recall.append(float(right.sum() / max(truth.surplus, 1)))
    return found


def run_on(truth: Labelled, folder: Path) -> pd.DataFrame:
    """The scores of a job over the texts, all pairs compared."""
    source = folder / f"{truth.name}.jsonl"
    lines = [json.dumps({"key": row, "text": text}) for row, text in truth.texts.items()]
    source.write_text("\n".join(lines) + "\n", encoding="utf-8")
    config = {
        "output": str(folder / truth.name),
        "source": {
            "kind": "text",
            "format": "jsonl",
            "path": str(source),
            "id": "key",
            "content": "text",
        },
        "embed": {"encoder": "minilm", "device": "cpu"},
        "cluster": {"n_clusters": 1},
        "score": {"eps_max": 0.6},
    }
    job = open_job(open_session(), parse_config(config))
    run_job(job)
    return DeltaTable(job.root.path("scores")).to_pandas()


def sts_cosines(data: Path) -> pd.DataFrame:
    """``score`` (0 to 5, people's) and ``cosine`` of each pair of the test set of STS-B."""
    path = data / "stsb_en" / "stsb-en-test.csv"
    pairs = pd.read_csv(path, header=None, names=["a", "b", "score"])
    X = encode_payloads(
        load_encoder(EncoderSpec("minilm", device="cpu")), [*pairs["a"], *pairs["b"]]
    ).X
    scored: pd.DataFrame = pairs.assign(cosine=(X[: len(pairs)] * X[len(pairs) :]).sum(axis=1))
    return scored


def draw(found: dict[str, Found], cosines: pd.DataFrame) -> bytes:
    """PNG: precision and recall of each set against eps; cosines by people's score."""
    with styled():
        figure, axes = new_figure(len(found) + 1)
        for place, (name, each) in zip(axes, found.items(), strict=False):
            place.plot(EPS, each.precision, color=ACCENT, marker="o", ms=3, label="precision")
            place.plot(EPS, each.recall, color=MARK, marker="o", ms=3, label="recall")
            place.set(title=name, xlabel="eps", ylim=(0, 1.02))
            place.grid(alpha=0.25)
            place.legend(frameon=False)
        values = [_band(cosines, *band).to_numpy() for band in _BANDS]
        axes[-1].boxplot(values, tick_labels=[_title(*band) for band in _BANDS], sym=".")
        axes[-1].set(title="STS-B test", xlabel="people's score", ylabel="cosine")
        axes[-1].grid(alpha=0.25, axis="y")
        return as_png(figure)


def _band(cosines: pd.DataFrame, low: float, high: float) -> pd.Series:
    return cosines.loc[(cosines["score"] >= low) & (cosines["score"] < high), "cosine"]


def _title(low: float, high: float) -> str:
    return f"{low:g}-{min(high, 5):g}"


@click.command(help=__doc__)
@click.option("--data", type=_FOLDER, default=DATA, show_default=True)
@click.option("--images", default=1000, show_default=True, help="Pictures whose captions to take.")
@click.option("--figure", type=_FILE, help="PNG to draw.")
@click.option("--json", "json_file", type=_FILE)
def main(data: Path, images: int, figure: Path | None, json_file: Path | None) -> None:
    """See the module."""
    found = {}
    with tempfile.TemporaryDirectory() as scratch:
        for truth in (abt_buy(data), cora(data), captions(data, images)):
            with Clock(f"{truth.name}, {len(truth.texts):,} rows"):
                found[truth.name] = found_at_each(run_on(truth, Path(scratch)), truth)
            each = found[truth.name]
            rows = [
                [f"{eps:g}", *numbers]
                for eps, *numbers in zip(
                    EPS, each.removed, each.precision, each.recall, strict=True
                )
            ]
            title = f"{truth.name}: {len(truth.texts):,} rows, {truth.surplus:,} of them surplus"
            print_table(title, ["eps", "removed", "precision", "recall"], rows)
    cosines = sts_cosines(data)
    rows = [
        [
            _title(*band),
            len(part),
            *(float(part.quantile(q)) for q in (0.05, 0.25, 0.5, 0.75, 0.95)),
        ]
        for band in _BANDS
        for part in [_band(cosines, *band)]
    ]
    print_table(
        "STS-B test: cosine by people's score",
        ["score", "pairs", *["5", "25", "50", "75", "95"]],
        rows,
    )
    if figure is not None:
        figure.write_bytes(draw(found, cosines))
    by_name = {name: vars(each) for name, each in found.items()}
    write_json(json_file, {"eps": EPS, "found": by_name})


if __name__ == "__main__":
    main()
