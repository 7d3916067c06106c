"""The demonstration: a text corpus that every installation has, and a tour of the result."""
