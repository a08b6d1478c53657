"""A GraphQL client for tests. It knows nothing of the transport: give it any way to send a document."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

from argon2 import Parameters, Type

from graphql_api.database.engine import Database
from graphql_api.database.user import Role
from graphql_api.events.bus import Bus
from graphql_api.events.feed import Feed
from graphql_api.schema.context import Context, Origin, Services
from graphql_api.schema.root import ApiSchema
from graphql_api.services.authentication import Authentication
from graphql_api.services.key import GivenKeys
from graphql_api.services.noticeboard import Noticeboard
from graphql_api.services.password import Passwords
from graphql_api.services.pdf.renderer import Renderer
from graphql_api.services.policy import Viewer
from graphql_api.services.storage import FileStorage
from graphql_api.services.throttle import Throttle
from graphql_api.services.token import AccessTokens


@dataclass(frozen=True)
class Response:
    """What came back: `data`, and `errors` in the form that goes over the wire."""

    data: dict[str, Any] | None
    errors: list[dict[str, Any]] = field(default_factory=list)

    @property
    def codes(self) -> list[str]:
        """The `extensions.code` of each error."""
        return [error.get("extensions", {}).get("code", "none") for error in self.errors]


class UnexpectedErrors(AssertionError):  # noqa: N818 - reads as what happened
    """The answer has errors where none were expected."""


Send = Callable[[str, dict[str, Any]], Awaitable[Response]]


class Client:
    """Sends documents with variables given as keyword arguments."""

    def __init__(self, send: Send) -> None:
        self.send = send

    async def execute(self, document: str, **variables: Any) -> dict[str, Any]:
        """The data of an answer that has no errors.

        Raises:
            UnexpectedErrors: when it has errors.
        """
        response = await self.send(document, variables)
        if response.errors or response.data is None:
            raise UnexpectedErrors(response.errors)
        return response.data

    async def execute_raw(self, document: str, **variables: Any) -> Response:
        """The answer, with errors or without."""
        return await self.send(document, variables)


ADMIN = Viewer(user_id=1, role=Role.ADMIN, session_id=1)
TEST_KEYS = GivenKeys("a-secret-key-of-the-tests-0123456789")
# a thousandth of the real cost
CHEAP = Parameters(type=Type.ID, version=19, salt_len=16, hash_len=32, time_cost=1, memory_cost=8, parallelism=1)


def create_services(database: Database, storage: FileStorage) -> Services:
    """What operations share; no notices are heard, and attempts are counted in this process alone."""
    noticeboard = Noticeboard(database.url)
    return Services(
        database=database,
        storage=storage,
        upload_limit=10_000_000,
        keys=TEST_KEYS,
        passwords=Passwords(CHEAP),
        authentication=Authentication(database, noticeboard, AccessTokens(TEST_KEYS)),
        noticeboard=noticeboard,
        throttle=Throttle(None),
        documents=Renderer(),
        feed=Feed(database, Bus(None, "tests")),
    )


def schema_client(
    schema: ApiSchema,
    services: Services,
    viewer: Viewer | None = ADMIN,
    origin: Origin = Origin("test-request"),  # noqa: B008 - it cannot be changed
    idempotency_key: str | None = None,
) -> Client:
    """A client that calls the schema directly; each operation gets a context of its own."""

    async def send(document: str, variables: dict[str, Any]) -> Response:
        context = Context(services, origin, viewer, idempotency_key=idempotency_key)
        result = await schema.execute(document, variable_values=variables, context_value=context)
        return Response(result.data, [dict(error.formatted) for error in result.errors or ()])

    return Client(send)
