"""How a cosine similarity is written for people."""

from __future__ import annotations

_DIGITS = (4, 5, 6, 7)


def similarity_text(cosine: float) -> str:
    """Write a cosine similarity.

    Parameters
    ----------
    cosine
        In [-1, 1].

    Returns
    -------
    str
        With four digits after the point, or as many as a float32 has where fewer would make 1 of
        what is less: ``0.9312``, ``0.99998``, ``1.0000``.
    """
    texts = (f"{cosine:.{n}f}" for n in _DIGITS)
    fitting = (text for text in texts if cosine >= 1 or float(text) < 1)
    return next(fitting, f"{cosine:.4f}")
