"""The output's tables: the only code that writes to storage or reads it back."""
