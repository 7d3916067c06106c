"""How many removals are right, and how many duplicates were found: a draw, and what it tells."""
