"""The queries of the pages and of GraphiQL run as they stand."""

import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.architecture.repository import ROOT, markdown_files, shown

QUERY = re.compile(r"```graphql\n(.*?)```", re.DOTALL)
QUERIES = [
    pytest.param(query, id=f"{shown(page)}-{number}")
    for page in markdown_files()
    for number, query in enumerate(QUERY.findall(page.read_text()), start=1)
]
GRAPHIQL = sorted((ROOT / "graphql_api/transport/graphiql/examples").glob("*.graphql"))


def execute(address: str, query: str) -> Any:
    answer = httpx.post(f"{address}/graphql", json={"query": query}, timeout=30)
    content = answer.json()
    assert "errors" not in content, content
    return content["data"]


def test_the_readme_has_queries() -> None:
    assert len(QUERIES) > 1


@pytest.mark.parametrize("query", QUERIES)
def test_a_query_of_the_pages_finds_demonstration_data(server_address: str, query: str) -> None:
    assert execute(server_address, query)["salesReport"]["rows"]


@pytest.mark.parametrize("example", GRAPHIQL, ids=lambda path: path.stem)
def test_an_example_of_graphiql_runs(server_address: str, example: Path) -> None:
    assert execute(server_address, example.read_text())
