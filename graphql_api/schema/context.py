"""What every resolver of one operation shares. On a socket each operation gets a context of its own."""

import logging
from asyncio import Semaphore
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import strawberry

from graphql_api.database.engine import Database
from graphql_api.database.user import Language
from graphql_api.events.feed import Feed
from graphql_api.schema.idempotency import input_digest
from graphql_api.schema.loaders import Loaders
from graphql_api.schema.permissions import Policy
from graphql_api.services.audit import Act, Aim, write_refusal
from graphql_api.services.authentication import Authentication
from graphql_api.services.errors import RateLimited, ServiceError
from graphql_api.services.idempotency_seal import KeyedRequest
from graphql_api.services.key import KeyRing
from graphql_api.services.noticeboard import Noticeboard
from graphql_api.services.password import Passwords
from graphql_api.services.pdf.renderer import Renderer
from graphql_api.services.policy import Unauthenticated, Viewer
from graphql_api.services.storage import FileStorage
from graphql_api.services.throttle import Caller, Throttle
from graphql_api.services.throttle_rules import Rule
from graphql_api.services.turns import Turns
from graphql_api.services.unit_of_work import UnitOfWork, unit_of_work

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Services:
    """What one process has once and all its operations share.

    Args:
        database: where reads and writes go.
        storage: where uploads are kept.
        upload_limit: bytes that one uploaded file may have.
        keys: sign tokens and make codes.
        passwords: hashes and checks passwords.
        authentication: makes and reads access tokens; knows who is behind them.
        noticeboard: where this process hears that its memory is out of date.
        throttle: counts attempts.
        documents: sets PDFs.
        feed: the events of the database as this process has them.
    """

    database: Database
    storage: FileStorage
    upload_limit: int
    keys: KeyRing
    passwords: Passwords
    authentication: Authentication
    noticeboard: Noticeboard
    throttle: Throttle
    documents: Renderer
    feed: Feed

    @cached_property
    def turns(self) -> Turns:
        """Who with an idempotency key may begin a transaction; the connections beyond the pool's are for the others."""
        return Turns(self.database.pool_size)

    @cached_property
    def report_turns(self) -> Semaphore:
        """Reading a report that somebody watches takes one, so that most connections are left to everybody else."""
        return Semaphore(max(1, self.database.pool_size // 4))


@dataclass(frozen=True)
class Origin:
    """Where a request comes from.

    Args:
        request_id: names it in logs, in hidden errors and in the audit record.
        address: the client's network address.
        user_agent: what the client calls itself.
        language: what messages are to be written in.
    """

    request_id: str
    address: str | None = None
    user_agent: str | None = None
    language: Language = Language.EN


@dataclass
class Context:
    """One operation: who asks, from where, and what was already loaded.

    Args:
        services: what the process shares.
        origin: where the request comes from.
        viewer: who asks; None when nobody has signed in.
        sign_in_problem: why the request's access token was not taken, if it brought one.
        idempotency_key: tells a repeated request from a new one; None when the client sent none.
    """

    services: Services
    origin: Origin
    viewer: Viewer | None = None
    sign_in_problem: Unauthenticated | None = None
    idempotency_key: str | None = None
    _aim: Aim | None = field(default=None, init=False)
    _arguments: Mapping[str, Any] = field(default_factory=dict, init=False)
    _position: int = field(default=-1, init=False)

    @property
    def database(self) -> Database:
        """Where reads and writes go."""
        return self.services.database

    @property
    def storage(self) -> FileStorage:
        """Where uploads are kept."""
        return self.services.storage

    @cached_property
    def loaders(self) -> Loaders:
        """Batches and remembers what this operation reads by id, as far as the viewer may see it."""
        return Loaders(self.database, self.viewer)

    async def begin_mutation(self, aim: Aim, arguments: Mapping[str, Any]) -> None:
        """Have a mutation see what those before it in the same document have changed: data, role and session.

        Args:
            aim: what it is about, for the audit record.
            arguments: what it was given.
        """
        self.__dict__.pop("loaders", None)
        self._aim, self._arguments = aim, arguments
        self._position += 1
        if self._position == 0 or self.viewer is None:
            return
        try:
            self.viewer = await self.services.authentication.present_viewer(self.viewer)
        except Unauthenticated as problem:
            self.viewer, self.sign_in_problem = None, problem

    async def keyed_request(self, mutation: str) -> KeyedRequest | None:
        """What a repetition of the present mutation is known by; None when the client sent no idempotency key."""
        if self.idempotency_key is None:
            return None
        scope = f"user:{self.viewer.user_id}" if self.viewer else "stranger"
        digest = await input_digest(self._arguments)
        return KeyedRequest(scope, self.idempotency_key, self._position, mutation, digest)

    def check(self, policy: Policy, field_name: str) -> None:
        """Return when the viewer may use the root field.

        Raises:
            Unauthenticated: nobody has signed in; says why the token was not taken, if there was one.
            Forbidden: this person may not.
        """
        try:
            policy.check(field_name, self.viewer)
        except Unauthenticated:
            if self.sign_in_problem is not None:
                raise self.sign_in_problem from None
            raise

    async def throttle(self, rules: Sequence[Rule], email: str | None = None) -> None:
        """Count one execution of a root field.

        Args:
            rules: what it is counted for.
            email: the e-mail address that it is about.

        Raises:
            RateLimited: there were too many of late.
        """
        await self.services.throttle.count(rules, Caller(self.viewer, self.origin.address, email))

    @asynccontextmanager
    async def unit_of_work(self, action: str) -> AsyncIterator[UnitOfWork]:
        """A transaction of the viewer's; afterwards all processes know what it put out of date."""
        async with unit_of_work(self.database, self._act(action)) as work:
            yield work
        await self.services.noticeboard.settled(work.announced)

    async def record_refusal(self, action: str, error: ServiceError) -> None:
        """Write a refused attempt into the audit record; the refusal stands also when that fails."""
        if isinstance(error, RateLimited):
            return  # whoever floods the server must not flood the record
        try:
            async with self.database.transaction() as session:
                await write_refusal(session, self._act(action), error.code, self._aim)
        except Exception:
            logger.exception("A refusal of `%s` could not be recorded", action)

    def _act(self, action: str) -> Act:
        return Act(action, self.viewer, self.origin.address, self.origin.request_id)


Info: TypeAlias = strawberry.Info[Context, None]
