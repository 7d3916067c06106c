"""Stage ``embed``: a source becomes ``embeddings`` and ``quarantine``, commit by commit."""
