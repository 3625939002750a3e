"""``serve``, ``mcp`` and ``api-key``: answer other programs over HTTP or MCP, and make keys for it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from sharedllm_docs.cli.options import DEFAULT_INDEX, INDEX_VARIABLE, OutputOptions, flattened
from sharedllm_docs.cli.screen import opened
from sharedllm_docs.cli.tenancy import ASKED, BareSaltOption, SaltFileOption, TenantOption, salt_of
from sharedllm_docs.errors import ConfigError, MissingExtraError

_NEEDED = ("fastapi", "uvicorn", "pydantic_settings", "sse_starlette", "prometheus_client", "multipart", "mcp")

IndexesOption = Annotated[
    list[str] | None,
    typer.Option(
        "--index",
        metavar="[NAME=]DIR",
        show_default=f"{INDEX_VARIABLE}, or {DEFAULT_INDEX}",
        help="Index folder, or an fsspec URL, and the name that requests use for it; may be repeated.",
    ),
]
ConfigOption = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="TOML file with these and further settings.")
]


@flattened
def serve(
    output: OutputOptions,
    index: IndexesOption = None,
    host: Annotated[
        str | None,
        typer.Option(
            "--host",
            metavar="ADDRESS",
            show_default="127.0.0.1",
            help="Address to listen on. Any other than this machine's own needs --api-key or --insecure.",
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", metavar="N", show_default="8000", help="Port to listen on; 0 takes a free one."),
    ] = None,
    api_key: Annotated[
        list[str] | None,
        typer.Option(
            "--api-key",
            metavar="KEY",
            help="Answer only requests with this key, or the key with this hash (sha256:...); may be repeated.",
        ),
    ] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Let everyone in, on any address.")] = False,
    tenant: TenantOption = None,
    salt_file: SaltFileOption = None,
    bare_salt: BareSaltOption = None,
    create: Annotated[bool, typer.Option("--create", help="Make an index that is not there yet.")] = False,
    show: Annotated[bool, typer.Option("--open", help="Open the page in the browser.")] = False,
    config: ConfigOption = None,
) -> None:
    """Answer questions over HTTP: in a browser, through an OpenAI-style API, and through MCP.

    The page is at the address that is printed, the OpenAI-style API under /v1, MCP at /mcp. docs/server.md lists all
    settings; each can also be set by an environment variable, such as SHAREDLLM_DOCS_SERVE_PORT.
    """
    with opened(output) as screen:
        check_extra()
        from sharedllm_docs.serving.http.server import serve as run

        own = {"host": host, "port": port, "api_keys": api_key, "insecure": insecure or None, "create": create or None}
        settings = settings_of(index, config, tenant=tenant, salt_file=salt_file, **own)
        salt = salt_of(settings.tenant, settings.salt_file, bare_salt)

        def tell(address: str) -> None:
            if screen.json:
                screen.emit({"address": address})
            else:
                screen.print(f"Serving at {address} (Ctrl-C stops it).")
            if show:
                import webbrowser

                webbrowser.open(address)

        run(settings, tell, salt)


@flattened
def api_key(output: OutputOptions) -> None:
    """Make an API key for `serve`, and its hash for the settings.

    The key is for those who ask; the server needs only the hash.
    """
    from sharedllm_docs.serving.http.keys import hashed, new_key

    with opened(output) as screen:
        key = new_key()
        if screen.json:
            screen.emit({"key": key, "hash": hashed(key)})
            return
        screen.print(f"Key:  {key}")
        screen.print(f"Hash: {hashed(key)}")


@flattened
def mcp(
    output: OutputOptions,
    index: IndexesOption = None,
    files: Annotated[
        Path | None,
        typer.Option("--files", metavar="DIR", help="Allow documents in this folder to be added, by their path in it."),
    ] = None,
    tenant: TenantOption = None,
    salt_file: SaltFileOption = None,
    bare_salt: BareSaltOption = None,
    config: ConfigOption = None,
) -> None:
    """Answer programs on this machine through the Model Context Protocol, over stdin and stdout.

    Tools: ask, search, list_documents, add_document; pages are resources. `serve` offers the same at /mcp.
    """
    with opened(output):
        check_extra()
        import asyncio

        from sharedllm_docs.serving.http.app import open_desk
        from sharedllm_docs.serving.http.server import log_to_stderr
        from sharedllm_docs.serving.http.tools import mcp_server

        log_to_stderr()
        settings = settings_of(index, config, tenant=tenant, salt_file=salt_file)
        if settings.salt_file == ASKED:
            raise ConfigError("MCP uses stdin itself: no salt can be typed there.", remedy="Name a file: --salt-file.")
        salt = salt_of(settings.tenant, settings.salt_file, bare_salt, ask=False)

        async def run() -> None:
            desk = open_desk(settings, salt)
            try:
                await mcp_server(desk, settings, files).run_stdio_async()
            finally:
                await desk.close()

        asyncio.run(run())


def check_extra() -> None:
    """Raise MissingExtraError unless the packages of the extra ``serve`` are installed."""
    from importlib.util import find_spec

    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"The server needs packages that are not installed ({', '.join(missing)}).",
            remedy="Install them: pip install 'sharedllm-docs[serve]'.",
        )


def settings_of(index: list[str] | None, config: Path | None, **given: Any) -> Any:
    """The server's settings from the options that were given.

    Raises:
        ConfigError: one of them is wrong.
    """
    from sharedllm_docs.serving.http.keys import HASH, hashed
    from sharedllm_docs.serving.http.settings import Settings, index_names

    named = {name: value for name, value in given.items() if value not in (None, [])}
    if "api_keys" in named:
        named["api_keys"] = tuple(one if HASH.fullmatch(one) else hashed(one) for one in named["api_keys"])
    if index:
        named["indexes"] = index_names(index)
    return Settings.load(config, default_index=os.environ.get(INDEX_VARIABLE) or DEFAULT_INDEX, **named)
