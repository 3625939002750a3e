"""Several facts hidden in a long text, in the manner of RULER. See README.md beside this file."""
