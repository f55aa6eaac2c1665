"""The demo: invented papers in the true wire formats, so that the program runs with no network."""
