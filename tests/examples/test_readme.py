"""The queries of the pages and of GraphiQL run as they stand."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from graphql import OperationDefinitionNode, OperationType, parse, print_ast

from tests.architecture.repository import ROOT, markdown_files, shown
from tests.examples.conftest import DemoServer

QUERY = re.compile(r"```graphql\n(.*?)```", re.DOTALL)
# its operations are run one after another in test_accounts.py
STORY = ROOT / "docs/accounts.md"
QUERIES = [
    pytest.param(query, id=f"{shown(page)}-{number}")
    for page in markdown_files()
    if page != STORY
    for number, query in enumerate(QUERY.findall(page.read_text()), start=1)
]
GRAPHIQL = sorted((ROOT / "graphql_api/transport/graphiql/examples").glob("*.graphql"))


def test_the_readme_has_queries() -> None:
    assert len(QUERIES) > 1


def test_the_program_prints_a_login_for_each_role(demo_server: DemoServer) -> None:
    assert sorted(demo_server.passwords) == [f"{name}@demo.example" for name in ("admin", "customer", "sales", "staff")]


@pytest.mark.parametrize("block", QUERIES)
def test_what_the_pages_show_works_on_demonstration_data(
    demo_server: DemoServer, admin_token: str, stocked: Mapping[str, str], block: str
) -> None:
    for operation in parse(block).definitions:
        assert isinstance(operation, OperationDefinitionNode)
        names = [definition.variable.name.value for definition in operation.variable_definitions or ()]
        variables = {name: stocked[name] for name in names if name in stocked}

        authorization = f"Bearer {admin_token}"
        if operation.operation is OperationType.SUBSCRIPTION:
            demo_server.listen(print_ast(operation), variables, authorization=authorization)
            continue
        answer = demo_server.execute(print_ast(operation), variables, authorization=authorization)

        for field in answer.values():
            assert field.get("rows", field) != []
            assert not field.get("userErrors")


@pytest.fixture(scope="module")
def admin_token(demo_server: DemoServer) -> str:
    return demo_server.sign_in("admin@demo.example")


@pytest.fixture(scope="module")
def stocked(demo_server: DemoServer, admin_token: str) -> Mapping[str, str]:
    """A store and a product of which it has more than a few bottles, by the variables of the pages."""
    query = "{ stockLevels(where: {onHand: {gt: 30}}, first: 1) { nodes { store { id } product { id } } } }"
    (level,) = demo_server.execute(query, authorization=f"Bearer {admin_token}")["stockLevels"]["nodes"]
    return {"store": level["store"]["id"], "ale": level["product"]["id"]}


@pytest.mark.parametrize("example", GRAPHIQL, ids=lambda path: path.stem)
def test_an_example_of_graphiql_runs(demo_server: DemoServer, staff_token: str, example: Path) -> None:
    text = example.read_text()
    if any(line.startswith("subscription") for line in text.splitlines()):
        demo_server.listen(text, authorization=f"Bearer {staff_token}")
    else:
        assert demo_server.execute(text, authorization=f"Bearer {staff_token}")


def test_each_login_sees_what_its_role_sees(demo_server: DemoServer) -> None:
    gins = 'products(where: {mine: true, name: {contains: "Dry Gin"}}) { totalCount }'
    query = f"{{ me {{ role }} {gins} invoices {{ totalCount }} }}"
    seen = {}
    for email in demo_server.passwords:
        answer = demo_server.execute(query, authorization=f"Bearer {demo_server.sign_in(email)}")
        seen[answer["me"]["role"]] = answer["products"]["totalCount"], answer["invoices"]["totalCount"]

    everything = seen["ADMIN"][1]
    assert seen["STAFF"] == (12, everything)
    assert seen["SALESPERSON"] == (0, everything)
    assert 100 < seen["CUSTOMER"][1] < 1_000 < everything
