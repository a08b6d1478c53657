"""The settings, from the environment, `.env`, or the command line; `app` and `cli` alone read them."""

import difflib
import ipaddress
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, parse_qsl, quote, urlencode, urlsplit

from dotenv.parser import Binding, parse_stream
from email_validator import EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    BeforeValidator,
    ByteSize,
    Field,
    SecretStr,
    ValidationError,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

SECRET_KEY_LENGTH = 32
# a random key of that length has more different characters; `changeme` repeated has not
SECRET_KEY_VARIETY = 10
LOOPBACK = ("127.0.0.1", "localhost", "[::1]", "::1")
NEAR_MISS_RATIO = 0.9
# other programs read variables that look like these, so a near miss proves nothing
COMMON_NAMES = frozenset({"HOST", "PORT", "DEMO", "WORKERS", "LOG_LEVEL"})
FOREIGN_NAMES = frozenset({"DATADIR"})


class SettingsError(Exception):
    """Settings that cannot be used; the message names each one, the problem and what to do, never a value."""


def _split_url(url: str, schemes: tuple[str, ...]) -> SplitResult:
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - reading it checks it
    except ValueError:
        raise ValueError("is not a URL; encode special characters in the password, such as %40 for @") from None
    if parts.scheme not in schemes:
        raise ValueError(f"must start with {' or '.join(f'{scheme}://' for scheme in schemes)}")
    return parts


def _check_database_url(url: str) -> str:
    _split_url(url, ("postgresql", "postgres"))
    return f"postgresql://{url.partition('://')[2]}"


def _check_redis_url(url: str) -> str:
    parts = _split_url(url, ("redis", "rediss", "unix"))
    if not (parts.path if parts.scheme == "unix" else parts.hostname):
        raise ValueError("names no server; write redis://host:6379/0 or unix:///path/to/socket")
    return url


def _check_storage_url(url: str) -> str:
    parts = _split_url(url, ("s3", "file"))
    if not (parts.netloc if parts.scheme == "s3" else parts.path):
        raise ValueError("names no place; write s3://bucket/prefix or file:///folder")
    return url


def _check_secret_key(key: SecretStr) -> SecretStr:
    text = key.get_secret_value()
    if len(text) < SECRET_KEY_LENGTH:
        raise ValueError(f"must have at least {SECRET_KEY_LENGTH} characters; `openssl rand -hex 32` makes one")
    if len(set(text)) < SECRET_KEY_VARIETY:
        raise ValueError("is too easy to guess; `openssl rand -hex 32` makes a good one")
    return key


def _check_smtp_url(url: str) -> str:
    if not _split_url(url, ("smtp", "smtps")).hostname:
        raise ValueError("names no server; write smtp://user:password@host:587")
    return url


def _check_address(address: str) -> str:
    try:
        return validate_email(address, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise ValueError(f"is not an e-mail address: {error}") from None


def _check_network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        raise ValueError("must hold addresses or networks such as 10.0.0.0/8") from None


def _check_origin(origin: str) -> str:
    parts = _split_url(origin, ("https", "http"))
    if not parts.hostname or parts.path or parts.query:
        raise ValueError("must hold origins such as https://shop.example, without a path")
    return origin


def _split_list(value: object) -> object:
    if not isinstance(value, str):
        return value
    return [part.strip().rstrip("/") for part in value.split(",") if part.strip()]


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


SecretKey = Annotated[SecretStr, AfterValidator(_check_secret_key)]
Network = Annotated[str, AfterValidator(_check_network)]
Origin = Annotated[str, AfterValidator(_check_origin)]


class Settings(BaseSettings):
    """What can be set, each field by the environment variable of its name in capitals."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8-sig",
        env_ignore_empty=True,  # compose files pass `DATABASE_URL=` for a variable that is not set
        extra="forbid",
        frozen=True,
        hide_input_in_errors=True,
        validate_default=False,
    )

    database_url: Annotated[str, AfterValidator(_check_database_url)] | None = Field(
        default=None,
        repr=False,
        description="PostgreSQL: postgresql://user:password@host:5432/name. Default: one of our own.",
    )
    redis_url: Annotated[str, AfterValidator(_check_redis_url)] | None = Field(
        default=None,
        repr=False,
        description="Redis or Valkey: redis://:password@host:6379/0. Default: one of our own.",
    )
    data_dir: Annotated[Path, AfterValidator(Path.expanduser)] = Field(
        default=Path("var"), description="The folder for everything the program keeps itself."
    )
    host: str = Field(default="127.0.0.1", min_length=1, description="The address to listen on; 0.0.0.0 is all.")
    port: int = Field(default=8000, ge=0, le=65535, description="The TCP port to listen on; 0 picks a free one.")
    secret_key: SecretKey | None = Field(
        default=None,
        description="The key that signs tokens, at least 32 characters, the same in every process. Default: one of our "
        "own, in DATA_DIR.",
    )
    previous_secret_keys: Annotated[tuple[SecretKey, ...], NoDecode, BeforeValidator(_split_list)] = Field(
        default=(),
        description="Keys that SECRET_KEY has replaced, separated by commas: what they signed stays valid.",
    )
    smtp_url: Annotated[str, AfterValidator(_check_smtp_url)] | None = Field(
        default=None,
        repr=False,
        description="The mail server: smtp://user:password@host:587 or smtps://host:465. Default: mails go to "
        "DATA_DIR/mail.",
    )
    mail_from: Annotated[str, AfterValidator(_check_address)] = Field(
        default="no-reply@graphql-api.test", description="The address that mails come from."
    )
    storage_url: Annotated[str, AfterValidator(_check_storage_url)] | None = Field(
        default=None,
        repr=False,
        description="Where files are kept: s3://bucket/prefix or file:///folder. Default: DATA_DIR/storage.",
    )
    upload_limit_bytes: ByteSize = Field(
        default=ByteSize(2 * 1024**3),
        gt=0,
        description="The largest file to accept, such as 2GiB or 2147483648.",
    )
    unpacked_limit_bytes: ByteSize = Field(
        default=ByteSize(20 * 1024**3),
        gt=0,
        description="The largest size of a compressed file once unpacked.",
    )
    worker_in_server: bool = Field(
        default=True,
        description="true runs background jobs in the server; false leaves them to `graphql-api worker`.",
    )
    workers: int = Field(default=1, ge=1, le=256, description="How many server processes share the port.")
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(_lower)] = Field(
        default="info", description="The least severe messages to log: debug, info, warning or error."
    )
    allowed_hosts: Annotated[tuple[str, ...], BeforeValidator(_split_list), NoDecode] = Field(
        default=(),
        description="Host names for requests, separated by commas. Default: local ones on a loopback HOST, else all.",
    )
    cors_origins: Annotated[tuple[Origin, ...], BeforeValidator(_split_list), NoDecode] = Field(
        default=(), description="Web origins that browsers may call from, separated by commas."
    )
    trusted_proxies: Annotated[tuple[Network, ...], BeforeValidator(_split_list), NoDecode] = Field(
        default=(),
        description="Addresses of proxies in front, separated by commas; their X-Forwarded-For is believed.",
    )
    metrics_readers: Annotated[tuple[Network, ...], BeforeValidator(_split_list), NoDecode] = Field(
        default=(),
        description="Addresses that may read /metrics without an administrator's token, separated by commas.",
    )
    database_pool_size: int = Field(
        default=10, ge=1, le=1000, description="Database connections that one process keeps open."
    )
    query_timeout_seconds: float = Field(
        default=30, gt=0, le=3600, description="After so many seconds a statement in the database is given up."
    )
    connections_per_user: int = Field(
        default=50,
        ge=1,
        le=1_000_000,
        description="Open connections for subscriptions (WebSockets and event streams) of one account in one process.",
    )
    operations_per_socket: int = Field(
        default=100, ge=1, le=10_000, description="Operations that may run on one WebSocket at once."
    )
    event_retention_days: int = Field(
        default=7,
        ge=1,
        le=3650,
        description="For how many days events are kept, from which subscribers resume with a cursor.",
    )
    demo: bool = Field(default=False, description="true loads demonstration data on the first start.")

    @property
    def trusted_hosts(self) -> tuple[str, ...]:
        """Names a request may call this server by; a page that makes its name point here must not get in."""
        is_local = self.host in LOOPBACK
        return self.allowed_hosts or (tuple(LOOPBACK) if is_local else ("*",))

    @property
    def storage(self) -> str:
        """Where files are kept, always as a URL."""
        return self.storage_url or (self.data_dir.absolute() / "storage").as_uri()


def load_settings(env_file: Path = Path(".env"), **overrides: Any) -> Settings:
    """Read the settings; an override that is not None wins over the environment, which wins over `env_file`.

    Raises:
        SettingsError: A value that cannot be used, or a name that is not known.
    """
    given = {name: value for name, value in overrides.items() if value is not None}
    bindings = _read_env_file(env_file)
    in_file = {binding.key.upper() for binding in bindings if binding.key}
    problems = [
        *_unknown_in_file(bindings, env_file),
        *_near_misses(os.environ, {*in_file, *map(str.upper, given)}),
    ]
    if problems:
        raise _settings_error(problems)
    try:
        return Settings(_env_file=env_file, **given)
    except ValidationError as error:
        raise _settings_error([_describe(problem) for problem in error.errors()]) from None


def asyncpg_url(database_url: str) -> str:
    """Return a `postgresql://` URL in the form that SQLAlchemy takes for the driver asyncpg."""
    server, separator, query = _check_database_url(database_url).partition("?")
    # libpq and all hosting services say sslmode; SQLAlchemy hands asyncpg's `ssl` through
    options = [("ssl" if name == "sslmode" else name, value) for name, value in parse_qsl(query)]
    return f"{server.replace(':', '+asyncpg:', 1)}{separator}{urlencode(options, safe='/', quote_via=quote)}"


def _known_names() -> list[str]:
    return [name.upper() for name in Settings.model_fields]


def _read_env_file(env_file: Path) -> list[Binding]:
    if not env_file.is_file():
        return []
    try:
        with env_file.open(encoding="utf-8-sig") as lines:
            return list(parse_stream(lines))
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{env_file} cannot be read as UTF-8 text: {type(error).__name__}.") from None


def _unknown_in_file(bindings: Iterable[Binding], env_file: Path) -> list[str]:
    problems = []
    for binding in bindings:
        place = f"line {binding.original.line} of {env_file}"
        if binding.error:
            problems.append(f"{place} is not of the form NAME=value.")
        elif binding.key and binding.key.upper() not in _known_names():
            problems.append(f"{binding.key} in {place} is not a setting. {_suggest(binding.key)}")
    return problems


def _suggest(name: str) -> str:
    nearest = difflib.get_close_matches(name.upper(), _known_names(), n=1, cutoff=0.6)
    return f"Did you mean {nearest[0]}?" if nearest else f"The settings are {', '.join(_known_names())}."


def _near_misses(environment: Mapping[str, str], given: set[str]) -> list[str]:
    """Find variables that are likely misspelt settings: close to one of ours that is not set."""
    set_names = {name.upper() for name in environment} | given
    missing = [name for name in _known_names() if name not in set_names and name not in COMMON_NAMES]
    problems = []
    for name in sorted(set(environment) - FOREIGN_NAMES):
        nearest = difflib.get_close_matches(name.upper(), missing, n=1, cutoff=NEAR_MISS_RATIO)
        if nearest and name.upper() not in _known_names():
            problems.append(f"{name} in the environment is not a setting. Did you mean {nearest[0]}?")
    return problems


def _describe(problem: ErrorDetails) -> str:
    name = str(problem["loc"][0])
    field = Settings.model_fields.get(name)
    if field is None:
        return f"{name.upper()} is not a setting. {_suggest(name)}"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{name.upper()} cannot be used: {message}. {field.description}"


def _settings_error(problems: list[str]) -> SettingsError:
    return SettingsError("\n".join(problems))
