"""The version of every distribution of this repository; docs/versioning.md says how it changes."""

__version__ = "0.1.0"
