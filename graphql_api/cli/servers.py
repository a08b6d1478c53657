"""The servers a command works with: those of the settings, or our own."""

from collections.abc import Iterator
from contextlib import contextmanager

from graphql_api.cli.failure import CommandError
from graphql_api.config import Settings


@contextmanager
def servers(settings: Settings) -> Iterator[Settings]:
    """The settings with both URLs; where one is missing, a server of our own runs as long as the block.

    Raises:
        CommandError: a server of our own does not start.
    """
    if settings.database_url and settings.redis_url:
        yield settings
        return
    # with both URLs given nothing of the embedded servers is ever loaded
    from graphql_api import embedded  # noqa: PLC0415 - as above

    try:
        running = embedded.start(
            settings.data_dir, postgres=settings.database_url is None, valkey=settings.redis_url is None
        )
    except embedded.EmbeddedServerError as error:
        raise CommandError(str(error)) from error
    with running:
        yield settings.model_copy(
            update={
                "database_url": settings.database_url or running.database_url,
                "redis_url": settings.redis_url or running.redis_url,
            }
        )
