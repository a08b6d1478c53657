"""What a process has once, as its settings say: the database, the storage, the keys.

Commands that need no more than these load this module in a third of the time that the whole program takes.
"""

from graphql_api.config import Settings, SettingsError
from graphql_api.database.engine import Database
from graphql_api.services.key import GivenKeys, KeyRing, WeakKeyError
from graphql_api.services.key_file import OwnKeys
from graphql_api.services.storage import FileStorage


def create_database(settings: Settings) -> Database:
    """The database of the settings.

    Raises:
        SettingsError: there is none.
    """
    if settings.database_url is None:
        raise SettingsError("DATABASE_URL is not set. `graphql-api serve` starts a PostgreSQL of its own.")
    return Database(
        settings.database_url, pool_size=settings.database_pool_size, timeout=settings.query_timeout_seconds
    )


def create_storage(settings: Settings) -> FileStorage:
    """The storage of the settings."""
    return FileStorage(settings.storage)


def create_keys(settings: Settings) -> KeyRing:
    """The keys of the settings, or else those of the data folder.

    Raises:
        SettingsError: a key could be guessed, or the file of keys in the data folder cannot be used.
    """
    previous = [key.get_secret_value() for key in settings.previous_secret_keys]
    if settings.secret_key is None:
        if previous:
            raise SettingsError("PREVIOUS_SECRET_KEYS needs SECRET_KEY, the key that has replaced them.")
        return OwnKeys(settings.data_dir)
    try:
        return GivenKeys(settings.secret_key.get_secret_value(), previous)
    except WeakKeyError as error:
        raise SettingsError(f"SECRET_KEY or PREVIOUS_SECRET_KEYS cannot be used: {error}") from None
