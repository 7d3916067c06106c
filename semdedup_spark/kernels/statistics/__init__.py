"""Small statistics: similarity of random pairs, histograms, association of two labellings."""
