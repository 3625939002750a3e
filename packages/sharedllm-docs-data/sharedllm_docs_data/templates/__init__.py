"""The wording of generated questions, one file per kind. ``heldout`` wordings never enter training."""
