"""The program `graphql-api`: its commands, and one way to end when something goes wrong."""

import sys
from importlib.metadata import version
from typing import Annotated

import typer
from rich.console import Console

from graphql_api.cli.failure import ExitCode
from graphql_api.cli.loading import load

# Where each command is; only the one that is asked for is loaded, because some take seconds.
COMMANDS = {
    "serve": ("serve", "serve"),
    "worker": ("serve", "worker"),
    "migrate": ("data", "migrate"),
    "demo": ("data", "demo"),
    "import": ("import_file", "import_file"),
    "create-admin": ("create_admin", "create_admin"),
    "users": ("users", "users"),
    "invite": ("invite", "invite"),
    "rotate-keys": ("rotate_keys", "rotate_keys"),
    "verify-audit": ("verify_audit", "verify_audit"),
    "check-books": ("check_books", "check_books"),
    "low-stock": ("low_stock", "low_stock"),
    "export-schema": ("schema_file", "export_schema"),
    "doctor": ("doctor", "doctor"),
}


def create_program(arguments: list[str]) -> typer.Typer:
    """The program with the command that the arguments name first, or with all of them."""
    program = typer.Typer(
        name="graphql-api",
        help="A typed GraphQL API for sales, stock and profit.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    program.callback(invoke_without_command=True)(_options)
    named = [argument for argument in arguments if argument in COMMANDS][:1]
    for name in named or ([] if "--version" in arguments else COMMANDS):
        module, function = COMMANDS[name]
        command = getattr(load(f"graphql_api.cli.{module}"), function)
        if isinstance(command, typer.Typer):
            program.add_typer(command, name=name)
        else:
            program.command(name)(command)
    return program


def main() -> None:
    """Run the command; an error becomes one line on standard error and a code other than 0."""
    try:
        create_program(sys.argv[1:])()
    except KeyboardInterrupt:
        raise SystemExit(ExitCode.CANCELLED) from None
    except Exception as error:
        if "--debug" in sys.argv[1:]:
            raise
        # loaded with whatever it names errors of, which takes a second
        from graphql_api.cli.description import describe, exit_code  # noqa: PLC0415 - as above

        console = Console(stderr=True, soft_wrap=True, highlight=False)
        console.print("[red]Error:[/red]", end=" ")
        console.print(describe(error), markup=False)
        raise SystemExit(exit_code(error)) from None


def _options(
    context: typer.Context,
    debug: Annotated[bool, typer.Option("--debug", help="Show where in the program an error arose.")] = False,  # noqa: FBT002 - a switch of the command line
    show_version: Annotated[bool, typer.Option("--version", help="Print the version and end.")] = False,  # noqa: FBT002 - as above
) -> None:
    context.obj = debug
    if show_version:
        typer.echo(version("graphql-api"))
        raise typer.Exit
