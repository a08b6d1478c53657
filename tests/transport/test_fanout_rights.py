"""What is shared never shows anybody what is somebody else's, and follows a change of rights."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from graphql_api.database.engine import Database
from graphql_api.database.user import Language, Role
from graphql_api.schema.viewer_identity import SharedViewer, StandsForMany, WatchedViewer
from graphql_api.services.errors import ErrorCode
from graphql_api.services.policy import Action, Viewer
from graphql_api.transport.fanout import Refused
from tests.transport.fanout_case import (
    ADMIN,
    CUSTOMER,
    OTHER_ADMIN,
    SALESPERSON,
    STAFF,
    FakeOutlet,
    FanoutCase,
    fanning_out,
    quiet,
    until,
)
from tests.transport.fanout_schema import COUNTS, FAULTS, not_found, outage

NUMBERS = "subscription { heard { number } }"
WHOSE = "subscription { heard { number whose } }"
STATE = "subscription { state { isWhole amount } }"
SAME_ADMIN = Viewer(1, Role.ADMIN, 1)


@pytest.fixture
async def case(database: Database, tmp_path: Path) -> AsyncIterator[FanoutCase]:
    async with fanning_out(database, tmp_path) as case:
        yield case


class TestPersonal:
    @pytest.mark.parametrize("field", ["whose", "whoseIfAsked"])
    async def test_what_reads_the_viewer_goes_on_for_each_without_loss(self, case: FanoutCase, field: str) -> None:
        # given
        document = f"subscription {{ heard {{ number whose: {field} }} }}"
        outlets = [(await case.subscribe(document, viewer=viewer))[1] for viewer in (ADMIN, SAME_ADMIN, OTHER_ADMIN)]
        behind, slow = await case.subscribe(document, FakeOutlet(is_ready=False), viewer=OTHER_ADMIN)

        # when
        await case.add(3)
        await until(lambda: all(len(outlet.texts) == 3 for outlet in outlets))
        await case.add(2)
        slow.is_ready = True
        behind.wake()
        await until(lambda: all(len(outlet.texts) == 5 for outlet in (*outlets, slow)))

        # then
        whose = [[result["data"]["heard"]["whose"] for result in outlet.results] for outlet in (*outlets, slow)]
        assert whose[0] == whose[1] == [f"{number} of 1" for number in range(1, 6)]
        assert whose[2] == whose[3] == [f"{number} of 2" for number in range(1, 6)]
        assert case.groups == 2

    async def test_what_was_found_to_be_personal_is_not_tried_again(self, case: FanoutCase) -> None:
        # given
        _, first = await case.subscribe(WHOSE)
        await case.add()
        await until(lambda: first.texts)
        presented = COUNTS["presented"]

        # when
        _, second = await case.subscribe(WHOSE, viewer=OTHER_ADMIN)
        await case.add()
        await until(lambda: second.texts and len(first.texts) == 2)

        # then
        assert COUNTS["presented"] == presented + 2
        assert case.groups == 2

    async def test_it_is_found_out_at_any_event(self, case: FanoutCase) -> None:
        # given
        document = "subscription { heard { number sometimesWhose } }"
        outlets = [(await case.subscribe(document, viewer=viewer))[1] for viewer in (ADMIN, OTHER_ADMIN)]

        # when
        for _ in range(6):
            await case.add(2)
        await until(lambda: all(len(outlet.texts) == 12 for outlet in outlets))

        # then
        assert [outlet.numbers for outlet in outlets] == [list(range(1, 13))] * 2
        seventh = [outlet.results[6]["data"]["heard"]["sometimesWhose"] for outlet in outlets]
        assert seventh == ["7 of 1", "7 of 2"]

    async def test_a_resolver_that_reads_the_viewer_is_not_shared(self, case: FanoutCase) -> None:
        # given
        document = "subscription { own { number } }"
        outlets = [(await case.subscribe(document, viewer=viewer))[1] for viewer in (ADMIN, OTHER_ADMIN)]

        # when
        await case.add()
        await until(lambda: all(outlet.texts for outlet in outlets))

        # then
        assert [outlet.numbers for outlet in outlets] == [[1001], [2001]]

    async def test_a_state_that_reads_the_viewer_is_not_shared(self, case: FanoutCase) -> None:
        # given
        document = "subscription { state { amount whose } }"

        # when
        outlets = [(await case.subscribe(document, viewer=viewer))[1] for viewer in (ADMIN, OTHER_ADMIN)]
        await until(lambda: all(outlet.texts for outlet in outlets))

        # then
        assert [outlet.results[0]["data"]["state"]["whose"] for outlet in outlets] == ["1", "2"]

    async def test_an_opening_that_reads_the_viewer_late_is_not_begun_anew(self, case: FanoutCase) -> None:
        # given
        document = "subscription { opened(values: 9) { number sometimesWhose } }"

        # when
        outlets = [(await case.subscribe(document, viewer=viewer))[1] for viewer in (ADMIN, OTHER_ADMIN)]
        await until(lambda: all(len(outlet.texts) == 9 for outlet in outlets))
        await case.add()
        await until(lambda: all(len(outlet.texts) == 10 for outlet in outlets))

        # then
        assert [outlet.numbers for outlet in outlets] == [[*range(-1, -10, -1), 1]] * 2
        assert [outlet.results[6]["data"]["opened"]["sometimesWhose"] for outlet in outlets] == ["-7 of 1", "-7 of 2"]

    def test_a_shared_viewer_names_nobody(self) -> None:
        viewer = SharedViewer(Role.STAFF)

        assert Action.READ_STOCK in viewer.actions
        assert repr(viewer) == "SharedViewer(STAFF)"
        assert not viewer.is_asked
        assert viewer != SharedViewer(Role.STAFF)
        for name in ("user_id", "session_id"):
            with pytest.raises(StandsForMany):
                getattr(viewer, name)
        assert viewer.is_asked

    def test_a_watched_viewer_is_somebody(self) -> None:
        viewer = WatchedViewer(STAFF)

        assert (viewer.role, viewer.is_asked) == (Role.STAFF, False)
        assert "3" in repr(viewer)
        assert not viewer.is_asked
        assert (viewer.user_id, viewer.session_id, viewer.is_asked) == (3, 3, True)


class TestRefusals:
    @pytest.mark.parametrize(
        ("document", "code"),
        [
            ("subscription {", "GRAPHQL_PARSE_FAILED"),
            ("subscription { nothing }", "GRAPHQL_VALIDATION_FAILED"),
            ("subscription ($every: Int!) { heard(every: $every) { number } }", "BAD_USER_INPUT"),
            ("{ nothing }", "GRAPHQL_VALIDATION_FAILED"),
            ("subscription A { heard { number } } subscription B { heard { number } }", "GRAPHQL_VALIDATION_FAILED"),
            ('subscription { heard(after: "x") { number } }', "BAD_USER_INPUT"),
            ("subscription { state { amount } }", "FORBIDDEN"),
        ],
    )
    async def test_what_cannot_run_is_refused(self, case: FanoutCase, document: str, code: str) -> None:
        with pytest.raises(Refused) as refused:
            await case.subscribe(document, viewer=CUSTOMER)

        assert [error["extensions"]["code"] for error in refused.value.errors] == [code]
        assert case.groups == 0

    async def test_a_stranger_is_told_to_sign_in(self, case: FanoutCase) -> None:
        with pytest.raises(Refused) as refused:
            await case.subscribe(NUMBERS, viewer=None)

        assert [error["extensions"]["code"] for error in refused.value.errors] == [ErrorCode.UNAUTHENTICATED]

    async def test_the_operation_that_is_named_is_run(self, case: FanoutCase) -> None:
        document = "subscription A { heard { number } } subscription B { heard { counted } } query C { nothing }"

        _, outlet = await case.subscribe(document, operation="B")
        await case.add()
        await until(lambda: outlet.texts)

        assert outlet.results == [{"data": {"heard": {"counted": 1}}}]
        with pytest.raises(Refused) as refused:
            await case.subscribe(document, operation="D", language=Language.AR)
        assert not refused.value.errors[0]["message"].isascii()
        with pytest.raises(Refused, match="no subscription"):
            await case.subscribe(document, operation="C")


class TestRenewal:
    async def test_a_new_role_goes_on_from_the_same_place(self, case: FanoutCase) -> None:
        # given
        subscriber, outlet = await case.subscribe(NUMBERS, viewer=ADMIN)
        _, other = await case.subscribe(NUMBERS, viewer=ADMIN)
        await case.add(2)
        await until(lambda: len(other.texts) == 2)
        outlet.is_ready = False
        await case.add(2)
        await until(lambda: len(other.texts) == 4)

        # when
        subscriber.renew(case.context(SALESPERSON))
        outlet.is_ready = True
        subscriber.wake()
        await case.add(2)

        # then
        await until(lambda: outlet.numbers == [1, 2, 3, 4, 5, 6])
        assert case.groups == 2

    async def test_a_renewal_in_the_middle_of_a_message_neither_loses_nor_doubles_it(self, case: FanoutCase) -> None:
        # given: the first one's message changes the rights of two others, of whom one comes later
        document = "subscription { heard { number role } }"
        _, other = await case.subscribe(document)
        early, before = await case.subscribe(document)
        _, changing = await case.subscribe(document)
        late, after = await case.subscribe(document)

        def change() -> None:
            changing.on_next = lambda: None
            early.renew(case.context(STAFF))
            late.renew(case.context(STAFF))

        changing.on_next = change

        # when
        await case.add(2)
        await case.add(2)

        # then
        await until(lambda: all(len(outlet.texts) == 4 for outlet in (other, before, changing, after)))
        assert [outlet.numbers for outlet in (before, changing, after)] == [[1, 2, 3, 4]] * 3
        roles = [[result["data"]["heard"]["role"] for result in outlet.results] for outlet in (before, after)]
        assert roles == [["ADMIN", "STAFF", "STAFF", "STAFF"], ["STAFF"] * 4]

    async def test_a_role_without_the_right_is_the_end(self, case: FanoutCase) -> None:
        # given
        subscriber, outlet = await case.subscribe(STATE)
        await until(lambda: outlet.texts)

        # when
        subscriber.renew(case.context(CUSTOMER))

        # then
        assert outlet.codes == ["FORBIDDEN"]
        assert case.groups == 0
        await case.add()
        await quiet()
        assert len(outlet.texts) == 1

    async def test_the_same_rights_change_nothing(self, case: FanoutCase) -> None:
        # given
        subscriber, outlet = await case.subscribe(NUMBERS, FakeOutlet(is_ready=False))
        await case.add()
        await quiet()

        # when: another session of the same role
        outlet.is_ready = True
        subscriber.renew(case.context(OTHER_ADMIN))

        # then
        await until(lambda: outlet.numbers == [1])
        assert COUNTS["resolved"] == 1

    async def test_who_was_personal_stays_personal(self, case: FanoutCase) -> None:
        # given
        subscriber, outlet = await case.subscribe(WHOSE)
        await case.add()
        await until(lambda: outlet.texts)

        # when
        subscriber.renew(case.context(OTHER_ADMIN))
        await case.add()
        await until(lambda: len(outlet.texts) == 2)

        # then
        assert [result["data"]["heard"]["whose"] for result in outlet.results] == ["1 of 1", "2 of 2"]

    async def test_an_old_cursor_is_not_asked_for_again(self, case: FanoutCase) -> None:
        # given
        await case.add(5)
        document = f'subscription {{ heard(after: "{await case.cursor(1)}") {{ number }} }}'
        subscriber, outlet = await case.subscribe(document)
        await until(lambda: outlet.numbers == [2, 3, 4, 5])
        await case.forget(4)

        # when
        subscriber.renew(case.context(STAFF))
        await case.add()

        # then
        await until(lambda: outlet.numbers == [2, 3, 4, 5, 6])

    async def test_a_renewal_waits_for_the_database(self, case: FanoutCase) -> None:
        # given
        document = "subscription { failing { number } }"
        subscriber, outlet = await case.subscribe(document)
        FAULTS.extend([outage(), outage()])

        # when
        subscriber.renew(case.context(STAFF))
        await case.add()

        # then
        await until(lambda: outlet.numbers == [1])
        assert not FAULTS
        FAULTS.append(not_found())
        subscriber.renew(case.context(ADMIN))
        await until(lambda: outlet.codes == ["NOT_FOUND"])

    async def test_closing_during_a_renewal_leaves_nothing(self, case: FanoutCase) -> None:
        # given
        subscriber, outlet = await case.subscribe(NUMBERS)
        before = len(asyncio.all_tasks())

        # when
        subscriber.renew(case.context(STAFF))
        subscriber.renew(case.context(SALESPERSON))
        subscriber.close()

        # then
        await until(lambda: len(asyncio.all_tasks()) <= before)
        assert case.groups == 0
        assert not outlet.is_ended

    async def test_a_right_that_is_taken_away_is_noticed_with_the_next_event(self, case: FanoutCase) -> None:
        # given
        _, outlet = await case.subscribe(NUMBERS)
        await case.add()
        await until(lambda: outlet.texts)

        # when
        roots = case.schema.policy.root_fields
        assert isinstance(roots, dict)
        del roots["heard"]
        await case.add()

        # then
        await until(lambda: outlet.is_ended)
        assert outlet.numbers == [1]
        assert outlet.codes == ["FORBIDDEN"]
