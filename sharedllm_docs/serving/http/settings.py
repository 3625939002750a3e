"""Settings of the server, from arguments, environment (``SHAREDLLM_DOCS_SERVE_…``) and a TOML file, in this order."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError, create_model, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from sharedllm_docs.config import SALT_VARIABLE
from sharedllm_docs.documents.readers.registry import known_endings
from sharedllm_docs.errors import ConfigError
from sharedllm_docs.serving.http.keys import HASH
from sharedllm_docs.serving.http.problems import problems_of
from sharedllm_docs.store.tenants import checked_name, salt_in_file

PREFIX = "SHAREDLLM_DOCS_SERVE_"
PLAIN = "plain"
"""Name of the model without documents."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class Settings(BaseSettings):
    """Everything that can be set about a server. ``Settings.load`` makes one and reports bad values as ConfigError.

    Attributes:
        indexes: folder (or fsspec URL) of each index by the name that requests use for it.
        tenant: name of the tenant whose indexes they are; ``indexes`` are then the places that tenants share.
        salt_file: file with the tenant's salt; None takes ``SHAREDLLM_DOCS_SALT``.
        host: address to listen on; any other than this machine's own needs ``api_keys`` or ``insecure``.
        port: to listen on; 0 takes a free one.
        api_keys: SHA-256 of each key that is let in (``sharedllm-docs api-key`` makes both); never the key itself.
        insecure: let everyone in on any address.
        allowed_hosts: further names by which the server may be addressed (``Host`` header), beside ``host``.
        create: make indexes that are not there, instead of refusing to start.
        docs: whether documents may be added and deleted over HTTP and MCP.
        max_waiting: number of questions that may wait; the next is answered with 429.
        max_waiting_each: number of them that may be of one caller.
        max_running: number of questions decoded together.
        max_answer_tokens: tokens of an answer at most; a request for more is refused.
        max_body_bytes: of a request without a file.
        max_upload_bytes: of a request with a file.
        max_upload_pages: of an uploaded document.
        upload_types: endings of file names that may be uploaded; by default those of all formats that are read.
        max_messages: of a conversation.
        max_texts: of an embeddings or rerank request.
        max_header_bytes: of the request line and headers together.
        max_connections: open at once; more are answered with 503.
        request_seconds: within which a request's headers and each part of its body must arrive.
        answer_seconds: within which an answer must be complete; the model then stops.
        keep_alive_seconds: between two comments in a stream that has nothing to say yet.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, extra="forbid", frozen=True)

    indexes: dict[str, str] = Field(min_length=1)
    tenant: str | None = None
    salt_file: str | None = None
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    api_keys: Annotated[tuple[str, ...], NoDecode] = ()
    insecure: bool = False
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    create: bool = False
    docs: bool = True
    max_waiting: int = Field(default=256, ge=1)
    max_waiting_each: int = Field(default=128, ge=1)
    max_running: int = Field(default=8, ge=1, le=256)
    max_answer_tokens: int = Field(default=1024, ge=1)
    max_body_bytes: int = Field(default=1_000_000, ge=1_000)
    max_upload_bytes: int = Field(default=200_000_000, ge=1_000)
    max_upload_pages: int = Field(default=5_000, ge=1)
    upload_types: Annotated[tuple[str, ...], NoDecode] = Field(default_factory=known_endings)
    max_messages: int = Field(default=200, ge=1)
    max_texts: int = Field(default=1_000, ge=1)
    max_header_bytes: int = Field(default=32_768, ge=1_024)
    max_connections: int = Field(default=512, ge=1)
    request_seconds: float = Field(default=30, gt=0)
    answer_seconds: float = Field(default=600, gt=0)
    keep_alive_seconds: float = Field(default=15, gt=0)

    @field_validator("api_keys", "allowed_hosts", "upload_types", mode="before")
    @classmethod
    def _listed(cls, value: Any) -> Any:
        """One string holds several values, separated by commas: so they are written in the environment."""
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @model_validator(mode="before")
    @classmethod
    def _without_salt(cls, values: Any) -> Any:
        if isinstance(values, dict) and "salt" in values:
            raise ValueError(f"they hold no salt; name a file with it (salt_file), or set {SALT_VARIABLE}")
        return values

    @field_validator("tenant")
    @classmethod
    def _tenant(cls, value: str | None) -> str | None:
        try:
            return None if value is None else checked_name(value)
        except ConfigError as error:  # which names the setting, as does what is made of this
            raise ValueError(error.message.removeprefix("tenant=").rstrip(".")) from error

    @field_validator("api_keys")
    @classmethod
    def _hashed(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for one in value:
            if not HASH.fullmatch(one):
                raise ValueError("an entry is not a hash; `sharedllm-docs api-key` makes a key and its hash")
        return value

    @field_validator("indexes")
    @classmethod
    def _named(cls, value: dict[str, str]) -> dict[str, str]:
        for name in value:
            if not _NAME.fullmatch(name) or name == PLAIN:
                raise ValueError(
                    f"{name!r} cannot name an index: letters, digits, '.', '_' and '-', at most 64, not {PLAIN!r}"
                )
        return value

    def opening(self, salt: bytes | None = None) -> dict[str, Any]:
        """Keywords of ``Index.open``, the same for all indexes: whose they are.

        Args:
            salt: the tenant's; None reads ``salt_file``, or leaves it to the environment.

        Raises:
            ConfigError: the file cannot be read, or holds no salt.
        """
        if salt is None and self.salt_file is not None:
            salt = salt_in_file(self.salt_file)
        given = {"tenant": self.tenant, "salt": salt}
        return {name: value for name, value in given.items() if value is not None}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Arguments before the environment before the file."""
        file = settings_cls.model_config.get("toml_file")
        named = (TomlConfigSettingsSource(settings_cls),) if file else ()
        return (init_settings, env_settings, *named)

    @classmethod
    def load(cls, file: Path | None = None, *, default_index: str | None = None, **given: Any) -> Settings:
        """Settings from arguments, environment and a TOML file.

        Args:
            file: the TOML file.
            default_index: folder of the index where none of these name any.
            given: the arguments.

        Raises:
            ConfigError: the file is missing or no TOML, or settings are wrong; names each.
        """
        made: type[Settings] = cls
        if file is not None:
            if not file.is_file():
                raise ConfigError(f"There is no settings file {file}.", remedy="Correct --config.")
            made = type("FileSettings", (cls,), {"model_config": SettingsConfigDict(toml_file=file)})
        if default_index is not None:
            indexes = (dict[str, str], Field(default=index_names([default_index]), min_length=1))
            made = create_model("CommandSettings", __base__=made, indexes=indexes)
        try:
            settings = made(**given)
            # those of the file would be added to those of the command
            return settings.model_copy(update={"indexes": given["indexes"]}) if "indexes" in given else settings
        except ValidationError as error:
            found = problems_of(error.errors(), whole="the settings")
            message = " ".join(one.message for one in found)
            raise ConfigError(message, remedy=" ".join(dict.fromkeys(one.remedy for one in found))) from error
        except ValueError as error:  # of the TOML parser
            raise ConfigError(f"The settings cannot be read: {error}.") from error


def index_names(given: list[str]) -> dict[str, str]:
    """Indexes by name from ``NAME=FOLDER`` or ``FOLDER``, which is named by the folder.

    Raises:
        ConfigError: two have the same name.
    """
    named: dict[str, str] = {}
    for one in given:
        name, found, url = one.partition("=")
        if not found or "/" in name:
            name, url = Path(one.rstrip("/")).name.lstrip("."), one
        if named.setdefault(name, url) != url:
            raise ConfigError(f"Two indexes are named {name!r}.", remedy="Give each a name of its own: NAME=FOLDER.")
    return named
