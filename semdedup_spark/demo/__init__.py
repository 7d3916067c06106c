"""The demonstration: real text that every installation has, and a walk through the result."""
