"""What all estimators share; an author of a method uses it, and never edits it."""
