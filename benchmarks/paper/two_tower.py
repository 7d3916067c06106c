"""A small model of two towers, as CLIP has them: pictures and captions of their classes get vectors
of one space, in which a picture is near to its caption.

Captions are templates with the name of a class, as those of CLIP's prompts. So a batch holds many
pictures of one class, and a caption of another picture of that class is as true as its own, in
whatever template. These count as positives, too, each with an equal share (as in UniCL, Yang et al.
2022): as negatives they would be false.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from semdedup_spark.datasets import ImageSet
from semdedup_spark.experiments.models import small_cnn
from semdedup_spark.experiments.trainer import EndlessBatches

TEMPLATES = (
    "a photo of a {}",
    "a blurry photo of a {}",
    "a photo of the {}",
    "a low contrast photo of the {}",
    "a small picture of a {}",
)
# CLIP's: it starts at 1 / 0.07 and never exceeds 100.
_FIRST_SCALE, _MOST_SCALE = math.log(1 / 0.07), math.log(100)


@dataclass(frozen=True)
class Size:
    """Of the model and of a step."""

    width: int = 64
    batch: int = 64
    rate: float = 1e-3


class Captions:
    """(classes, templates, words) the captions of every class as ids of words; 0 fills up."""

    def __init__(self, names: Sequence[str], templates: Sequence[str] = TEMPLATES) -> None:
        texts = [[template.format(name).split() for template in templates] for name in names]
        words = sorted({word for some in texts for text in some for word in text})
        ids = {word: number for number, word in enumerate(words, start=1)}
        longest = max(len(text) for some in texts for text in some)
        self.n_tokens = len(ids) + 1
        self.ids = torch.tensor(
            [
                [[ids[w] for w in text] + [0] * (longest - len(text)) for text in some]
                for some in texts
            ]
        )


class TwoTower(nn.Module):
    """The CNN of the sweep with vectors instead of classes, and the mean of a caption's words."""

    def __init__(self, shape: tuple[int, ...], n_tokens: int, size: Size) -> None:
        super().__init__()
        self.image = small_cnn(shape, size.width)
        self.words = nn.EmbeddingBag(n_tokens, size.width, mode="mean", padding_idx=0)
        self.text = nn.Linear(size.width, size.width)
        self.scale = nn.Parameter(torch.tensor(_FIRST_SCALE))

    def pictures(self, pixels: torch.Tensor) -> torch.Tensor:
        """(b, width) unit rows of uint8 pictures."""
        return F.normalize(self.image(pixels), dim=1)

    def captions(self, ids: torch.Tensor) -> torch.Tensor:
        """(b, width) unit rows of (b, words) ids."""
        return F.normalize(self.text(self.words(ids)), dim=1)


def contrastive_loss(
    pictures: torch.Tensor, captions: torch.Tensor, labels: torch.Tensor, scale: torch.Tensor
) -> torch.Tensor:
    """Symmetric InfoNCE of b unit rows each: every picture of a class is a positive of every
    caption of that class.
    """
    logits = scale * pictures @ captions.T
    same = (labels[:, None] == labels[None, :]).float()
    target = same / same.sum(dim=1, keepdim=True)
    return (F.cross_entropy(logits, target) + F.cross_entropy(logits.T, target)) / 2


def trained(images: ImageSet, names: Sequence[str], steps: int, seed: int, size: Size) -> ZeroShot:
    """Train from random weights; each picture of a batch has its class in a random template."""
    captions = Captions(names)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = TwoTower(images.pixels.shape[1:], captions.n_tokens, size)
    optimizer = torch.optim.Adam(model.parameters(), lr=size.rate)
    drawn = np.random.default_rng(seed)
    pixels, labels = torch.from_numpy(images.pixels), torch.from_numpy(images.labels)
    for rows in EndlessBatches(len(images), size.batch, steps, seed):
        templates = torch.from_numpy(drawn.integers(captions.ids.shape[1], size=len(rows)))
        ids = captions.ids[labels[rows], templates]
        scale = model.scale.clamp(max=_MOST_SCALE).exp()
        loss = contrastive_loss(
            model.pictures(pixels[rows]), model.captions(ids), labels[rows], scale
        )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    return ZeroShot(model, captions)


class ZeroShot(nn.Module):
    """A classifier without a head: cosines of pictures to the mean caption of each class, as CLIP
    averages its prompts.
    """

    def __init__(self, model: TwoTower, captions: Captions) -> None:
        super().__init__()
        self.model = model
        with torch.inference_mode():
            found = model.captions(captions.ids.flatten(0, 1))
        n_classes, n_templates = captions.ids.shape[:2]
        mean = found.view(n_classes, n_templates, -1).mean(dim=1)
        self.classes = F.normalize(mean, dim=1)

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """(b, classes) cosines of uint8 pictures."""
        return self.model.pictures(pixels) @ self.classes.T
