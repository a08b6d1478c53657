"""Errors of every layer in words for the command line."""

import asyncpg
from redis.exceptions import RedisError
from sqlalchemy.exc import SQLAlchemyError

from graphql_api.cli.failure import CommandError, ExitCode
from graphql_api.config import SettingsError
from graphql_api.services.errors import ServiceError
from graphql_api.services.faults import as_service_error


def exit_code(error: Exception) -> ExitCode:
    """The code for what went wrong: wrong settings are wrong usage."""
    return ExitCode.USAGE if isinstance(error, SettingsError) else ExitCode.FAILED


def describe(error: Exception) -> str:
    """What went wrong, for a person."""
    if isinstance(error, (SettingsError, CommandError, ServiceError)):
        return str(error)
    if isinstance(error, (asyncpg.PostgresError, asyncpg.InterfaceError, SQLAlchemyError)):
        service_error = as_service_error(error)
        return service_error.message if service_error else f"PostgreSQL said: {_first_line(error)}"
    if isinstance(error, RedisError):
        return f"Redis said: {_first_line(error)}"
    if isinstance(error, OSError):
        return _first_line(error)
    return f"{type(error).__name__}: {_first_line(error)}. This is a fault of the program; --debug shows where."


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
