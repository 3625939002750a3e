"""This project's training-free profile, as it is by default."""

from __future__ import annotations

from typing import Any

from peers.injected import InjectedPeer


class Prefix(InjectedPeer):
    """See the module."""

    def model_options(self) -> dict[str, Any]:
        return {"profile": "prefix", "adapter": None}
