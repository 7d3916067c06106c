"""Small statistics: random pairs, histograms, association."""
