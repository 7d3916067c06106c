"""Refuses thresholds beyond the horizon, in the words of ``deduplicate``."""

from __future__ import annotations

from numbers import Real
from typing import NoReturn

from semdedup_spark.errors import HorizonError


def check_eps(eps: float, eps_max: float) -> None:
    """Check that pairs were compared up to a threshold. What else an eps must be, others check.

    Parameters
    ----------
    eps
        The threshold.
    eps_max
        The horizon.

    Raises
    ------
    HorizonError
        The threshold is beyond the horizon.
    """
    if isinstance(eps, Real) and isinstance(eps_max, Real) and 0 < eps_max < eps:
        larger = f"call deduplicate again with eps_max={eps:g} or a larger eps_max."
        raise HorizonError(
            f"eps must be at most eps_max = {eps_max:g}, up to which rows are compared. "
            f"Got {eps:g}.",
            hint=larger if eps < 1 else "eps and eps_max must be below 1.",
        )


def refuse_share(share: float, eps_max: float) -> NoReturn:
    """Refuse a share of rows that only an eps beyond the horizon keeps.

    Parameters
    ----------
    share
        The share, above 0 and below 1.
    eps_max
        The horizon.

    Raises
    ------
    HorizonError
        Always.
    """
    raise HorizonError(
        f"eps_max must be at least the eps that keeps {share:g} of the rows. Got {eps_max:g}.",
        hint="call deduplicate again with a larger eps_max, or keep more rows.",
    )
