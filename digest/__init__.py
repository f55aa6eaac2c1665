"""digest: get trending papers in your email inbox."""

__version__ = "0.1.0.dev0"
