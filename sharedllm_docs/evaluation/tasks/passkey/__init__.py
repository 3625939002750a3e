"""One number hidden in a long text. See README.md beside this file."""
