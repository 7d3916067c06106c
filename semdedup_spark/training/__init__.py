"""Small models trained on what a selection keeps, to see whether it keeps what matters."""
