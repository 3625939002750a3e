"""The server: the OpenAI dialect, MCP, health and metrics over one ``Desk``. Needs the extra ``serve``.

``app.create_app`` puts it together. ``own/`` (the project's own API) and ``page/`` (the page for browsers) bring a
``router`` each and are included where they are present.
"""
