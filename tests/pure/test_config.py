"""Settings: what is accepted, and how a mistake is named."""

import os
from pathlib import Path

import pytest

from graphql_api.config import Settings, SettingsError, asyncpg_url, load_settings

SECRET = "correct-horse-battery-staple-7781"  # noqa: S105 - made up


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {name.upper() for name in Settings.model_fields}
    for name in [name for name in os.environ if name.upper() in known]:
        monkeypatch.delenv(name)


def create_env_file(folder: Path, text: str) -> Path:
    path = folder / "settings.env"
    path.write_text(text, encoding="utf-8")
    return path


def failure(folder: Path, text: str = "", **overrides: object) -> str:
    with pytest.raises(SettingsError) as caught:
        load_settings(create_env_file(folder, text), **overrides)
    return str(caught.value)


def test_without_any_setting_the_program_serves_itself_on_this_machine_alone(tmp_path: Path) -> None:
    settings = load_settings(tmp_path / "absent.env")

    assert (settings.database_url, settings.redis_url, settings.secret_key) == (None, None, None)
    assert (settings.host, settings.port, settings.workers) == ("127.0.0.1", 8000, 1)
    assert settings.data_dir == Path("var")
    assert settings.storage == (Path("var").absolute() / "storage").as_uri()
    assert (settings.upload_limit_bytes, settings.unpacked_limit_bytes) == (2 * 1024**3, 20 * 1024**3)
    assert (settings.worker_in_server, settings.trusted_hosts[0], settings.demo) == (True, "127.0.0.1", False)
    assert (settings.query_timeout_seconds, settings.cors_origins) == (30, ())


def test_an_option_beats_the_environment_and_that_beats_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # given
    env_file = create_env_file(tmp_path, "PORT=1001\nHOST=10.0.0.1\nLOG_LEVEL=WARNING\n")
    monkeypatch.setenv("PORT", "1002")
    monkeypatch.setenv("HOST", "10.0.0.2")

    # when
    settings = load_settings(env_file, port=1003, host=None)

    # then
    assert (settings.port, settings.host, settings.log_level) == (1003, "10.0.0.2", "warning")


def test_an_empty_variable_counts_as_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "")

    assert load_settings(tmp_path / "absent.env").database_url is None


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("PORT", "70000", "less than or equal to 65535"),
        ("PORT", "http", "valid integer"),
        ("WORKERS", "0", "greater than or equal to 1"),
        ("DEMO", "maybe", "valid boolean"),
        ("LOG_LEVEL", "loud", "'debug', 'info', 'warning' or 'error'"),
        ("UPLOAD_LIMIT_BYTES", "-1", "byte"),
        ("UPLOAD_LIMIT_BYTES", "0", "greater than 0"),
        ("QUERY_TIMEOUT_SECONDS", "0", "greater than 0"),
        ("QUERY_TIMEOUT_SECONDS", "nan", "Input should be"),
        ("DATABASE_URL", "mysql://host/db", "must start with postgresql:// or postgres://"),
        ("DATABASE_URL", "postgresql://host:port/db", "is not a URL"),
        ("REDIS_URL", "http://host", "must start with redis:// or rediss:// or unix://"),
        ("REDIS_URL", "redis://", "names no server"),
        ("STORAGE_URL", "gs://bucket", "must start with s3:// or file://"),
        ("STORAGE_URL", "s3://", "names no place"),
        ("CORS_ORIGINS", "https://a.example,b.example", "must start with https:// or http://"),
        ("CORS_ORIGINS", "https://a.example/path", "without a path"),
        ("SECRET_KEY", "short", "at least 32 characters"),
    ],
)
def test_a_bad_value_fails_with_its_name_and_a_way_out(tmp_path: Path, name: str, value: str, says: str) -> None:
    message = failure(tmp_path, f"{name}={value}\n")

    description = Settings.model_fields[name.lower()].description
    assert message.startswith(f"{name} cannot be used: ")
    assert says in message
    assert description is not None
    assert message.endswith(description)


def test_all_bad_values_are_named_at_once(tmp_path: Path) -> None:
    message = failure(tmp_path, "PORT=x\nWORKERS=y\n")

    assert [line.split()[0] for line in message.splitlines()] == ["PORT", "WORKERS"]


@pytest.mark.parametrize(
    "text",
    [
        f"SECRET_KEY={SECRET[:20]}",
        f"DATABASE_URL=mysql://user:{SECRET}@host/db",
        f"DATABASE_URL=postgresql://user:{SECRET}@host:port/db",
        f"REDIS_URL=postgres://:{SECRET}@host",
        f"STORAGE_URL=gs://{SECRET}@bucket",
        f"PASSWORD={SECRET}",
    ],
)
def test_a_secret_is_never_in_the_message(tmp_path: Path, text: str) -> None:
    assert SECRET[:20] not in failure(tmp_path, f"{text}\n")


def test_a_secret_is_never_in_the_settings_as_text(tmp_path: Path) -> None:
    # given
    urls = (f"DATABASE_URL=postgres://user:{SECRET}@host/db", f"REDIS_URL=redis://:{SECRET}@host")
    env_file = create_env_file(tmp_path, "\n".join((*urls, f"SECRET_KEY={SECRET}")))

    # when
    settings = load_settings(env_file)

    # then
    assert SECRET not in f"{settings!r} {settings}"
    assert settings.secret_key is not None
    assert settings.secret_key.get_secret_value() == SECRET
    assert settings.database_url == f"postgresql://user:{SECRET}@host/db"


@pytest.mark.parametrize(
    ("key", "nearest"), [("DATABSE_URL", "DATABASE_URL"), ("WORKER", "WORKERS"), ("log_levels", "LOG_LEVEL")]
)
def test_an_unknown_name_in_the_file_fails_with_its_line_and_the_nearest_name(
    tmp_path: Path, key: str, nearest: str
) -> None:
    message = failure(tmp_path, f"# ours\nPORT=1\n{key}=x\n")

    assert f"{key} in line 3 of {tmp_path / 'settings.env'} is not a setting. " in message
    assert f"Did you mean {nearest}?" in message


def test_a_name_like_no_other_gets_the_list(tmp_path: Path) -> None:
    assert "The settings are DATABASE_URL, REDIS_URL, DATA_DIR," in failure(tmp_path, "ZZZ=1\n")


def test_a_line_that_is_no_assignment_fails_with_its_number(tmp_path: Path) -> None:
    assert "line 2 of" in failure(tmp_path, "PORT=1\n'quoted\n")


def test_a_file_that_is_not_text_fails_with_its_name(tmp_path: Path) -> None:
    env_file = tmp_path / "settings.env"
    env_file.write_bytes(b"HOST=\xff\xfe\n")

    with pytest.raises(SettingsError, match=r"settings\.env cannot be read as UTF-8"):
        load_settings(env_file)


def test_an_unknown_option_fails_with_its_name(tmp_path: Path) -> None:
    assert failure(tmp_path, prot=1).startswith("PROT is not a setting. Did you mean PORT?")


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("DATABASE_URLS", "DATABASE_URL"),
        ("DATABSE_URL", "DATABASE_URL"),
        ("DATA_DIRR", "DATA_DIR"),
        ("SECRETKEY", "SECRET_KEY"),
        ("CORS_ORIGIN", "CORS_ORIGINS"),
        ("UPLOAD_LIMIT_BYTE", "UPLOAD_LIMIT_BYTES"),
    ],
)
def test_a_misspelt_variable_in_the_environment_fails(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, meant: str
) -> None:
    monkeypatch.setenv(name, SECRET)

    message = failure(tmp_path)

    assert message == f"{name} in the environment is not a setting. Did you mean {meant}?"


def test_variables_of_other_programs_are_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = (
        "PATH HOSTNAME HOSTS PORTS PORTAGE_CONFIGROOT DATABASE DATABASE_USER DATABASE_HOST DATABASE_NAME "
        "LOGLEVEL LOG_LEVELS DATADIR XDG_DATA_DIRS TEST_DATABASE_URL REDIS_HOST REDIS_PORT SECRET_KEY_BASE "
        "PGDATABASE WORKER DEBUGINFOD_URLS STORAGE DEMOS WEB_CONCURRENCY"
    )
    for name in foreign.split():
        monkeypatch.setenv(name, "x")

    assert load_settings(tmp_path / "absent.env").port == 8000


def test_a_lookalike_is_left_alone_when_the_setting_itself_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URLS", "of another program")

    assert load_settings(create_env_file(tmp_path, "DATABASE_URL=postgres://h/d")).database_url == "postgresql://h/d"


def test_sizes_lists_and_places_are_written_as_people_write_them(tmp_path: Path) -> None:
    # given
    lines = (
        "UPLOAD_LIMIT_BYTES=5GiB",
        "CORS_ORIGINS=https://a.example/, http://localhost:5173",
        "STORAGE_URL=s3://bucket/prefix",
        "DATA_DIR=~/shop data",
    )

    # when
    settings = load_settings(create_env_file(tmp_path, "\n".join(lines)))

    # then
    assert settings.upload_limit_bytes == 5 * 1024**3
    assert settings.cors_origins == ("https://a.example", "http://localhost:5173")
    assert settings.storage == "s3://bucket/prefix"
    assert settings.data_dir == Path.home() / "shop data"


@pytest.mark.parametrize("url", ["redis://h:6379/0", "rediss://:p@h", "unix:///run/valkey.sock?db=1"])
def test_all_forms_of_redis_are_taken(tmp_path: Path, url: str) -> None:
    assert load_settings(create_env_file(tmp_path, f"REDIS_URL={url}")).redis_url == url


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("postgres://u:p%40@h:5433/d", "postgresql+asyncpg://u:p%40@h:5433/d"),
        ("POSTGRESQL://h/d", "postgresql+asyncpg://h/d"),
        ("postgresql:///d?host=/run/my%20pg", "postgresql+asyncpg:///d?host=/run/my%20pg"),
        ("postgresql://h/d?sslmode=require", "postgresql+asyncpg://h/d?ssl=require"),
        ("postgresql://u:postgresql:@h/d", "postgresql+asyncpg://u:postgresql:@h/d"),
    ],
)
def test_the_driver_url_keeps_everything_but_the_scheme(given: str, expected: str) -> None:
    assert asyncpg_url(given) == expected
