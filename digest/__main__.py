"""`python -m digest` is `digest`."""

from digest.cli import main

if __name__ == "__main__":  # processes that share the ranking import this module by another name
    main()
