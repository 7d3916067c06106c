"""The stages as the ledger names them: embed, reference, cluster, score, select, prune."""
