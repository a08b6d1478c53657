"""`rotate-keys`: a new secret key; what the one before it has signed stays valid."""

from typing import Annotated

import typer

from graphql_api.cli.failure import CommandError
from graphql_api.config import Settings, load_settings
from graphql_api.services.key_file import rotate_own_keys

GIVEN = """SECRET_KEY is set, so only whoever sets it can replace it. In the environment or `.env` of every process:
  1. Put the present value of SECRET_KEY {place} PREVIOUS_SECRET_KEYS.
  2. Set SECRET_KEY to what `openssl rand -hex 32` prints.
  3. Restart the servers and the workers.
  4. After 90 days take the old value out of PREVIOUS_SECRET_KEYS{leaked}."""
AT_ONCE = "; at once, and instead of step 1, if somebody else may know it"


def rotate_keys(
    forget: Annotated[  # noqa: FBT002 - a switch of the command line
        bool,
        typer.Option("--forget", help="Drop the older keys, because somebody may know them."),
    ] = False,
) -> None:
    """Make a new secret key in DATA_DIR; running servers and workers use it from now on, without a restart.

    What older keys have signed stays valid for its time. With --forget it does not: access tokens, open invitations
    and codes by mail are worthless at once, while whoever is signed in stays so by the refresh token.
    """
    settings = load_settings()
    if settings.secret_key is not None:
        raise CommandError(_advice(settings))
    key = rotate_own_keys(settings.data_dir, forget=forget)
    typer.echo(f"The key {key.id} signs from now on. {_fate_of_older_keys(is_forgetting=forget)}")


def _fate_of_older_keys(*, is_forgetting: bool) -> str:
    if is_forgetting:
        return "Older keys are dropped: what they have signed is worthless."
    return "What older keys have signed stays valid."


def _advice(settings: Settings) -> str:
    place = "first in" if settings.previous_secret_keys else "into"
    return GIVEN.format(place=place, leaked=AT_ONCE)
