"""Which rows stay: survivors, components, cover."""
