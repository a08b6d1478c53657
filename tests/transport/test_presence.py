"""Who is connected: counted, held while in doubt, let go on or sent away; and how often the database is asked."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from sqlalchemy import event, update
from sqlmodel import col

from graphql_api.app import listening, watching
from graphql_api.database.engine import Database
from graphql_api.database.session import SessionEnd
from graphql_api.database.user import Role, UserRow
from graphql_api.schema.context import Services
from graphql_api.services.errors import ServiceError
from graphql_api.services.noticeboard import Noticeboard, NoticeKind
from graphql_api.services.policy import Viewer
from graphql_api.services.session import end_sessions
from graphql_api.services.storage import FileStorage
from graphql_api.services.unit_of_work import unit_of_work
from graphql_api.transport.presence import Presence, TooManyConnections
from tests.client import create_services
from tests.transport.conftest import create_viewer
from tests.transport.socket_client import until

PER_USER = 3
MANY = 1_200


@dataclass(eq=False)
class RecordingGuest:
    """A connection that writes down what it is told."""

    viewer: Viewer | None
    told: list[object] = field(default_factory=list)
    is_held: bool = False

    def hold(self) -> None:
        self.is_held = True
        self.told.append("hold")

    def admit(self, viewer: Viewer) -> None:
        self.viewer = viewer
        self.is_held = False
        self.told.append(viewer)

    def dismiss(self, error: ServiceError) -> None:
        self.told.append(str(error))


@dataclass
class House:
    """One process that knows who is connected."""

    services: Services
    presence: Presence
    database: Database

    async def entered(self, viewer: Viewer) -> RecordingGuest:
        """Somebody who is in and no longer in doubt."""
        guest = RecordingGuest(viewer)
        self.presence.enter(guest)
        await until(lambda: not guest.is_held)
        guest.told.clear()
        return guest

    async def change_role(self, viewer: Viewer, role: Role) -> None:
        async with unit_of_work(self.database) as work:
            await work.session.execute(update(UserRow).where(col(UserRow.id) == viewer.user_id).values(role=role))
            await work.announce(NoticeKind.USER, viewer.user_id)
        await self.services.noticeboard.settled(work.announced)

    async def end(self, viewer: Viewer) -> None:
        async with unit_of_work(self.database) as work:
            await end_sessions(work, viewer.user_id, SessionEnd.LOGOUT)
        await self.services.noticeboard.settled(work.announced)


@pytest.fixture
async def house(database: Database, tmp_path: Path) -> AsyncIterator[House]:
    services = create_services(database, FileStorage(tmp_path.as_uri()))
    presence = Presence(services, PER_USER, per_address=2)
    async with listening(services.noticeboard), watching(presence):
        await until(lambda: presence.is_current)
        yield House(services, presence, database)


@pytest.fixture
async def viewer(database: Database) -> Viewer:
    return await create_viewer(database, Role.STAFF)


async def test_whoever_enters_is_held_until_the_rights_are_known(house: House, viewer: Viewer) -> None:
    guest = RecordingGuest(replace(viewer, role=Role.ADMIN))  # which he was when he signed in

    house.presence.enter(guest)

    assert guest.told == ["hold"]
    await until(lambda: not guest.is_held)
    assert guest.told == ["hold", viewer]


async def test_an_account_has_so_many_connections_and_no_more(house: House, database: Database, viewer: Viewer) -> None:
    guests = [RecordingGuest(viewer) for _ in range(PER_USER)]
    for guest in guests:
        house.presence.enter(guest)

    with pytest.raises(TooManyConnections, match="has 3 open connections already"):
        house.presence.enter(RecordingGuest(viewer))

    house.presence.enter(RecordingGuest(await create_viewer(database, Role.STAFF)))
    house.presence.leave(guests[0])
    house.presence.leave(guests[0])  # which changes nothing
    house.presence.enter(RecordingGuest(viewer))


async def test_strangers_are_counted_by_their_address(house: House) -> None:
    guests = [RecordingGuest(None) for _ in range(3)]
    house.presence.enter(guests[0], "192.0.2.1")
    house.presence.enter(guests[1], "192.0.2.1")

    with pytest.raises(TooManyConnections, match="This address has 2 open connections without a sign-in"):
        house.presence.enter(guests[2], "192.0.2.1")

    house.presence.enter(guests[2], "192.0.2.2")
    assert [guest.told for guest in guests] == [[], [], []]


async def test_an_ended_session_sends_its_guests_away_and_no_others(
    house: House, database: Database, viewer: Viewer
) -> None:
    guest = await house.entered(viewer)
    other = await house.entered(await create_viewer(database, Role.STAFF))

    await house.end(viewer)

    assert guest.told[0] == "hold"  # at the latest when the change was answered
    await until(lambda: len(guest.told) > 1)
    assert guest.told == ["hold", "The session has ended: it was signed out. Sign in again."]
    assert other.told == []


async def test_a_change_of_role_is_told(house: House, viewer: Viewer) -> None:
    guest = await house.entered(viewer)

    await house.change_role(viewer, Role.CUSTOMER)

    await until(lambda: not guest.is_held)
    assert guest.told == ["hold", replace(viewer, role=Role.CUSTOMER)]


async def test_a_guest_that_has_left_is_told_nothing(house: House, viewer: Viewer) -> None:
    guest, other = await house.entered(viewer), await house.entered(viewer)
    house.presence.leave(guest)

    await house.end(viewer)

    await until(lambda: len(other.told) > 1)
    assert guest.told == []


async def test_what_was_read_before_another_notice_is_not_told(
    house: House, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = await house.entered(viewer)
    authentication = house.services.authentication
    has_read, may_tell, read = asyncio.Event(), asyncio.Event(), authentication.present_viewers

    async def slowly(viewers: set[Viewer]) -> object:
        answer = await read(viewers)
        has_read.set()
        await may_tell.wait()
        return answer

    monkeypatch.setattr(authentication, "present_viewers", slowly)
    await house.change_role(viewer, Role.CUSTOMER)
    await has_read.wait()
    await house.change_role(viewer, Role.SALESPERSON)
    may_tell.set()

    await until(lambda: not guest.is_held)
    assert guest.told == ["hold", "hold", replace(viewer, role=Role.SALESPERSON)]


async def test_after_lost_notices_everybody_is_asked_about_in_few_statements(
    house: House, database: Database, viewer: Viewer
) -> None:
    statements: list[str] = []
    house.presence._per_user = MANY  # noqa: SLF001 - one account stands for many
    guests = [RecordingGuest(replace(viewer, session_id=viewer.session_id + number)) for number in range(MANY)]
    for guest in guests:
        house.presence.enter(guest)
    await until(lambda: not any(len(guest.told) < 2 for guest in guests))
    event.listen(database.engine.sync_engine, "before_cursor_execute", lambda *call: statements.append(call[2]))

    house.services.noticeboard._forget_everything()  # noqa: SLF001 - what happens when its connection was lost

    assert all(guest.told[-1] == "hold" for guest in guests)
    await until(lambda: not any(guest.told[-1] == "hold" for guest in guests))
    assert guests[0].told[-1] == viewer
    assert {guest.told[-1] for guest in guests[1:]} == {"The session has ended. Sign in again."}
    assert len(statements) == 3


async def test_a_database_that_cannot_be_asked_keeps_guests_held_until_it_can(
    house: House, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = await house.entered(viewer)
    failures = []

    async def fail(_viewers: object) -> object:
        failures.append(1)
        raise ConnectionRefusedError

    with monkeypatch.context() as patch:
        patch.setattr(house.services.authentication, "present_viewers", fail)
        await house.change_role(viewer, Role.ADMIN)
        await until(lambda: len(failures) >= 2)
        assert guest.told == ["hold"]

    await until(lambda: not guest.is_held)
    assert guest.viewer == replace(viewer, role=Role.ADMIN)


async def test_while_notices_may_be_missed_nothing_is_sent_and_then_everybody_is_asked_again(
    house: House, viewer: Viewer, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = await house.entered(viewer)
    presence = house.presence
    assert presence.is_current

    with monkeypatch.context() as patch:
        patch.setattr(Noticeboard, "is_current", property(lambda _self: False))
        assert not presence.is_current
        await asyncio.sleep(0.5)
        assert guest.told == []

    assert not presence.is_current  # not before everybody was asked
    await until(lambda: presence.is_current and not guest.is_held)
    assert guest.told == ["hold", viewer]


async def test_a_guest_that_fails_harms_no_other(house: House, database: Database, viewer: Viewer) -> None:
    class BrokenGuest(RecordingGuest):
        def admit(self, viewer: Viewer) -> None:
            raise RuntimeError(viewer)

    house.presence.enter(BrokenGuest(viewer))
    others = [await house.entered(await create_viewer(database, Role.STAFF)), await house.entered(viewer)]

    await house.end(viewer)

    await until(lambda: len(others[1].told) > 1)
    assert others[0].told == []
