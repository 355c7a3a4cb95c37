"""The controls that a method must beat."""
