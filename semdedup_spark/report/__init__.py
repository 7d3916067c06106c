"""The texts, figures and pages that people read."""
