"""Small statistics: samples of rows that people judge, random pairs, histograms, association."""
