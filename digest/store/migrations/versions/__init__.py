"""One migration a file, numbered as `PRAGMA user_version` counts them."""
