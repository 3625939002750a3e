"""The wording of generated questions, one file a kind. ``heldout`` wordings never enter training."""
