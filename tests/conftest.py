"""No test depends on how fast the machine is: Hypothesis sets no time to an example."""

from __future__ import annotations

from hypothesis import settings

settings.register_profile("any-machine", deadline=None)
settings.load_profile("any-machine")
