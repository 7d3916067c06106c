"""Tables as they are printed, and the same as CSV."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

OUT = Path("out") / "paper"


@dataclass
class Table:
    """Rows under a title. Fractions have four digits."""

    title: str
    columns: Sequence[str]
    rows: list[tuple[Any, ...]] = field(default_factory=list)

    def add(self, *row: Any) -> None:
        if len(row) != len(self.columns):
            raise ValueError(f"a row must have {len(self.columns)} values. Got {row}.")
        self.rows.append(row)

    def show(self) -> None:
        """Print the table, numbers to the right."""
        cells = [list(self.columns), *([_cell(value) for value in row] for row in self.rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(self.columns))]
        print(f"\n{self.title}")
        for row in cells:
            first, *others = zip(row, widths, strict=True)
            line = [first[0].ljust(first[1]), *(cell.rjust(width) for cell, width in others)]
            print("  " + "  ".join(line).rstrip())
        print(flush=True)

    def write(self, file: Path) -> None:
        """Write the table as CSV, numbers in full."""
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w", newline="", encoding="utf-8") as opened:
            csv.writer(opened).writerows([self.columns, *self.rows])


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
