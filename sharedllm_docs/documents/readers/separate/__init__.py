"""Reading in a process of its own, which may crash, hang or grow without taking the caller down.

``pool`` lends out processes, ``process`` is one of them as seen from here, ``worker`` is what runs there, ``wire`` is
what goes between: JSON and plain bytes, never pickle. What readers must do for it is in ``steps``.
"""
