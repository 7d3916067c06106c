"""The stage select, and what it depends on."""
