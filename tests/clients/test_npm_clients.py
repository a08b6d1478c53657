"""What people use on npm, against a real server that is restarted: every change once and in order, or a clear no."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import pytest

from graphql_api.schema.node import global_id
from tests.clients.conftest import Shop
from tests.clients.node_program import NodeProgram, node_program
from tests.clients.packages import FOLDER

CLIENTS = ["graphql_ws", "apollo", "urql", "urql_sse", "graphql_sse"]
EXPIRING = "graphql_ws"
OVER_WEBSOCKETS = ["graphql_ws", "apollo", "urql"]
OVER_HTTP = ["urql_sse", "graphql_sse"]
MINUTES_LATER = timedelta(minutes=10)
JSON = "application/graphql-response+json; charset=utf-8"


@dataclass(frozen=True)
class Told:
    """What the clients have printed, and how many bottles there were after each change that they were to hear of."""

    programs: dict[str, NodeProgram]
    levels: list[int]

    def of(self, name: str, kind: str) -> list[dict[str, Any]]:
        """What a client has printed of a kind."""
        lines = [json.loads(line) for line in self.programs[name].lines]
        return [line for line in lines if line["kind"] == kind]

    def wait(self) -> None:
        """Wait until all have heard of the last change."""
        for name, program in self.programs.items():
            program.wait_for(partial(self._is_up_to_date, name))

    def _is_up_to_date(self, name: str) -> bool:
        changes = self.of(name, "change")
        return bool(changes and changes[-1]["after"] == self.levels[-1])


@pytest.fixture(scope="module")
def told(shop: Shop) -> Iterator[Told]:
    """All clients at once through one story: changes before they come, while they listen, while the server is away."""
    environment = {
        **shop.logins,
        "SKU": shop.product.sku,
        "STORE_ID": global_id("Store", shop.store.id),
        "OTHER_PRODUCT_ID": global_id("Product", shop.other.id),
        "AFTER": shop.cursor(),
    }
    with ExitStack() as stack:
        told = Told({}, shop.change(3))
        for name in CLIENTS:
            program = node_program([f"{name}.mjs", shop.server.url], FOLDER, **environment)
            client = told.programs[name] = stack.enter_context(program)
            if name == EXPIRING:
                # its token must not end before it has come, so it is made late, and nobody else comes meanwhile
                client.wait_for(lambda: told.of(EXPIRING, "ready"))
                client.tell(shop.short_session(left=timedelta(seconds=58)))
                client.wait_for(lambda: told.of(EXPIRING, "renewed"))
        told.wait()
        told.levels.extend(shop.change(20))
        told.wait()
        shop.server.stop()
        told.levels.extend(shop.change(20))
        shop.server.start()
        told.wait()
        told.levels.extend(shop.change(10))
        told.wait()
        yield told


@pytest.mark.parametrize("name", CLIENTS)
def test_every_change_comes_once_and_in_order(told: Told, name: str) -> None:
    changes = told.of(name, "change")

    assert [change["after"] for change in changes] == told.levels
    assert [change["before"] + change["delta"] for change in changes] == told.levels
    assert len({change["cursor"] for change in changes}) == len(told.levels)


@pytest.mark.parametrize("name", CLIENTS)
def test_a_query_and_a_mutation_are_answered(told: Told, shop: Shop, name: str) -> None:
    (query,), (mutation,) = told.of(name, "query"), told.of(name, "mutation")

    assert query["data"]["product"]["sku"] == shop.product.sku
    assert mutation["data"]["adjustStock"]["userErrors"] == []
    assert [movement["quantity"] for movement in mutation["data"]["adjustStock"]["movements"]] == [1]


@pytest.mark.parametrize("name", CLIENTS)
def test_who_may_not_listen_is_told_why(told: Told, name: str) -> None:
    codes = {line["whom"]: line.get("codes") for line in told.of(name, "refused")}

    assert codes["stranger"] == ["UNAUTHENTICATED"]
    assert codes["customer"] == ["FORBIDDEN"]


@pytest.mark.parametrize("name", OVER_WEBSOCKETS)
def test_a_forged_token_ends_the_connection(told: Told, name: str) -> None:
    (refused,) = [line for line in told.of(name, "refused") if line["whom"] == "forger"]

    # Apollo hides the code in its message
    assert refused.get("close") == 4403 or "4403 The access token is not valid" in refused["message"]


@pytest.mark.parametrize("name", OVER_HTTP)
def test_a_forged_token_is_refused_over_http(told: Told, name: str) -> None:
    (refused,) = [line for line in told.of(name, "refused") if line["whom"] == "forger"]

    assert refused["codes"] == ["UNAUTHENTICATED"]


@pytest.mark.parametrize("name", ["urql", "urql_sse"])
@pytest.mark.parametrize("kind", ["query", "mutation"])
def test_urql_gets_json_though_it_would_take_a_stream(told: Told, name: str, kind: str) -> None:
    (line,) = told.of(name, kind)

    assert "text/event-stream" in line["accept"]
    assert line["contentType"] == JSON


def test_a_restart_is_told_as_one(told: Told) -> None:
    closed = [line["code"] for line in told.of("graphql_ws", "closed")]

    assert closed[0] == 1012
    # until the server is there again
    assert set(closed[1:]) <= {1006}


def test_a_token_is_renewed_on_the_connection_that_it_is_for(told: Told) -> None:
    # given that the token of this client had a minute left, or less
    (expiring,), (renewed,) = told.of(EXPIRING, "expiring"), told.of(EXPIRING, "renewed")

    assert 0 < expiring["seconds"] <= 60
    assert renewed["type"] == "AuthRenewed"
    assert datetime.fromisoformat(renewed["expiresAt"]) - datetime.fromisoformat(expiring["expiresAt"]) > MINUTES_LATER
