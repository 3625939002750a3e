"""The one shape legend of the project, and a check that names what is wrong. Leaf module.

======  ====================================================================================
B       batch (questions answered together, or chunks encoded together)
S       tokens of a sequence
Q       tokens of a question (with the prompt's end)
F       tokens of the front (what stands before every chunk and before the injected rows)
R       rows injected for a question
G       rows kept (stored) of a chunk
N       chunks, of a document or among the injected ones
L       layers of the base model; Ls: layers whose rows are stored (the injection layers)
H       attention heads
KV      key/value heads (grouped-query attention: H is a multiple of KV)
D       dimensions a head
E       hidden size
======  ====================================================================================

A name says whether keys are rotated: ``keys`` are as the projection (and norm) left them, ``rotated_keys`` carry a
rotary position.
"""

from __future__ import annotations

from typing import Protocol


class HasShape(Protocol):
    """Anything with a ``shape``: a torch tensor or a numpy array."""

    @property
    def shape(self) -> tuple[int, ...]: ...


def check_shape(tensor: HasShape, legend: str, **sizes: int) -> None:
    """Raise ValueError unless ``tensor`` has the shape that ``legend`` (e.g. ``"G Ls KV D"``) and ``sizes`` state.

    Letters without a size match anything, but the same letter must mean the same size everywhere in the legend.
    """
    names = legend.split()
    shape = tuple(tensor.shape)
    known = dict(sizes)
    matches = len(names) == len(shape) and all(known.setdefault(n, s) == s for n, s in zip(names, shape, strict=True))
    if not matches:
        wanted = ", ".join(f"{name}={sizes[name]}" if name in sizes else name for name in names)
        raise ValueError(f"Expected a tensor of shape [{wanted}], got {list(shape)}.")
