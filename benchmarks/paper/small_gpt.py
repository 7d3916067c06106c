"""A small transformer that predicts the next token: 1.3 million parameters with 4,096 tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import nn
from torch.nn import functional as F

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Size:
    """Of the model and of a step."""

    width: int = 128
    layers: int = 4
    heads: int = 4
    context: int = 128
    batch: int = 8
    rate: float = 2e-3


class Block(nn.Module):
    """Attention to earlier tokens, then two layers for each token by itself."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.heads = size.heads
        self.before, self.between = nn.LayerNorm(size.width), nn.LayerNorm(size.width)
        self.qkv = nn.Linear(size.width, 3 * size.width)
        self.out = nn.Linear(size.width, size.width)
        self.alone = nn.Sequential(
            nn.Linear(size.width, 4 * size.width), nn.GELU(), nn.Linear(4 * size.width, size.width)
        )

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, t, d = x.shape
        qkv = self.qkv(self.before(x)).view(b, t, 3, self.heads, d // self.heads)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # (B, heads, T, d / heads) each
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(seen.transpose(1, 2).reshape(b, t, d))
        return x + self.alone(self.between(x))  # type: ignore[no-any-return]


class SmallGpt(nn.Module):
    """Token and position vectors, blocks, and the token vectors again to predict the next one."""

    def __init__(self, n_tokens: int, size: Size) -> None:
        super().__init__()
        self.tokens = nn.Embedding(n_tokens, size.width)
        self.places = nn.Embedding(size.context, size.width)
        nn.init.normal_(self.tokens.weight, std=0.02)
        nn.init.normal_(self.places.weight, std=0.02)
        self.blocks = nn.Sequential(*(Block(size) for _ in range(size.layers)))
        self.last = nn.LayerNorm(size.width)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.tokens(ids) + self.places(torch.arange(ids.shape[1]))
        return F.linear(self.last(self.blocks(x)), self.tokens.weight)


def packed(documents: Sequence[Ids], end: int, context: int) -> torch.Tensor:
    """(m, context + 1) documents in one row after the other, each followed by ``end``, cut to
    windows; the last tokens that fill no window are left out.
    """
    line = np.concatenate([np.r_[document, end] for document in documents])
    windows = max(1, (len(line) - 1) // context)
    line = np.resize(line, windows * context + 1) if len(line) <= context else line
    starts = np.arange(windows) * context
    return torch.from_numpy(line[starts[:, None] + np.arange(context + 1)])


def trained(windows: torch.Tensor, n_tokens: int, steps: int, seed: int, size: Size) -> SmallGpt:
    """Train from random weights. Windows come in an order of their own in each epoch."""
    torch.manual_seed(seed)
    model = SmallGpt(n_tokens, size)
    optimizer = torch.optim.AdamW(model.parameters(), lr=size.rate, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=size.rate, total_steps=max(steps, 2), pct_start=0.1
    )
    shuffled = torch.Generator().manual_seed(seed)
    waiting = torch.empty(0, dtype=torch.int64)
    for _ in range(steps):
        while len(waiting) < size.batch:
            order = torch.randperm(len(windows), generator=shuffled)
            waiting = torch.cat([waiting, order])
        batch, waiting = windows[waiting[: size.batch]], waiting[size.batch :]
        # Inside the loop: the context keeps the weights that it has rounded once.
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(batch[:, :-1]).flatten(0, 1)
        loss = F.cross_entropy(logits.float(), batch[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    return model


@torch.inference_mode()
def perplexity(model: SmallGpt, windows: torch.Tensor, batch: int = 32) -> float:
    """e to the mean cross entropy of the tokens of the windows."""
    total = 0.0
    for part in torch.split(windows, batch):
        logits = model(part[:, :-1]).flatten(0, 1)
        total += float(F.cross_entropy(logits, part[:, 1:].flatten(), reduction="sum"))
    return float(np.exp(total / windows[:, 1:].numel()))
