"""Jobs on named data sets: their pictures, and the job file made for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from semdedup_spark.masking import masked_settings

if TYPE_CHECKING:
    from semdedup_spark.datasets import ImageSet

_SIDES = {"mnist": 28, "fmnist": 28, "cifar10": 32}  # pixels
_USUAL_CLUSTERS = 20


def load_named(dataset: str, root: Path, split: str, limit: int | None) -> ImageSet:
    """Load the pictures of a named data set.

    Parameters
    ----------
    dataset
        ``mnist``, ``fmnist`` or ``cifar10``.
    root
        Directory of the data set's files.
    split
        ``train`` or ``test``.
    limit
        Most pictures to load, a sample by hash. ``None``: all.

    Returns
    -------
    ImageSet
        The pictures.
    """
    from semdedup_spark.datasets import load_images

    images = load_images(dataset, root, split)  # type: ignore[arg-type]
    return images if limit is None else images.sample(limit)


def named_job(dataset: str, split: str, output: Path, representation: str) -> dict[str, Any]:
    """Build the job file of a named data set.

    Parameters
    ----------
    dataset
        ``mnist``, ``fmnist`` or ``cifar10``.
    split
        ``train`` or ``test``.
    output
        Directory for the tables.
    representation
        ``NAME`` or ``NAME=MODEL`` of an encoder.

    Returns
    -------
    dict of str to object
        The job file as nested mappings.
    """
    pictures = output / "source" / f"{dataset}-{split}.parquet"
    source = {"kind": "images", "format": "parquet", "id": "id", "content": "image"}
    return {
        "output": str(output),
        "source": {**source, "path": str(pictures)},
        "embed": embedding(dataset, representation),
        "cluster": {"n_clusters": _USUAL_CLUSTERS},
    }


def embedding(dataset: str, representation: str) -> dict[str, Any]:
    """Translate ``--representation`` into the key ``embed`` of a job file.

    Parameters
    ----------
    dataset
        Name of the data set. It decides the image size of ``pixels``.
    representation
        ``NAME`` or ``NAME=MODEL`` of an encoder.

    Returns
    -------
    dict of str to object
        The settings of ``embed``.
    """
    name, _, model = representation.partition("=")
    if name == "pixels":
        return {"encoder": "pixels", "image_size": _SIDES.get(dataset, 32)}
    if name == "vgg16":
        weights = f"vgg16:{Path(model).resolve()}" if model else "vgg16.IMAGENET1K_V1"
        return {"encoder": "torchvision", "model": weights}
    return {"encoder": name, "model": model} if model else {"encoder": name}


def write_job(tree: dict[str, Any], images: ImageSet, output: Path) -> Path:
    """Write the pictures and the job file under the output.

    Parameters
    ----------
    tree
        The job file as nested mappings.
    images
        The pictures.
    output
        Directory that receives ``job.yml``.

    Returns
    -------
    Path
        Path of the job file.
    """
    import yaml

    from semdedup_spark.datasets.pictures import write_pictures

    write_pictures(images, Path(tree["source"]["path"]))
    job_file = output / "job.yml"
    shown = masked_settings(tree)  # the file is as readable as the tables beside it
    job_file.write_text(yaml.safe_dump(shown, sort_keys=False), encoding="utf-8")
    return job_file
