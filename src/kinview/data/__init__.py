"""Containers in, batches out; scaling, schemas and splits that are learned on training rows."""
