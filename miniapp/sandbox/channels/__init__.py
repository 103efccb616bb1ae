"""Tax channels, one file a kind (its own rules, files and notices beside it under the same first word)."""
