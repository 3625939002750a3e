"""This project as it is installed: the embedded default with the adapter that comes with the package."""

from __future__ import annotations

from typing import Any

from peers.base import NotAvailableError
from peers.injected import InjectedPeer


class Shipped(InjectedPeer):
    """See the module."""

    def model_options(self) -> dict[str, Any]:
        from sharedllm_docs.model.adapter import shipped_adapter
        from sharedllm_docs.model.zoo import SMOLLM_135M

        name = self.settings.model or SMOLLM_135M.name
        if shipped_adapter(name) is None:
            raise NotAvailableError("no adapter comes with the package for this model")
        return {}
