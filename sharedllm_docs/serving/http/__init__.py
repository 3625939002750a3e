"""The server: the OpenAI-style API, MCP, health and metrics over one ``Desk``. Needs the extra ``serve``.

``app.create_app`` puts it together. ``own/`` (the project's own API) and ``page/`` (the page for browsers) each
have a ``router``, which is included.
"""
