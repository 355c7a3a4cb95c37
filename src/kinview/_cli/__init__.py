"""One module a command; each has ``parse(words)``, which gives its options, and ``run(options)``."""
