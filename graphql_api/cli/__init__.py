"""The command line: serve, import, migrate, and look after the installation."""

from graphql_api.cli.main import main

__all__ = ["main"]
