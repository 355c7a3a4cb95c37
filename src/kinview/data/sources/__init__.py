"""Data that are read from where they lie, a block of rows at a time."""
