"""What the pages, GraphiQL and the clients show, as a reader tries it, on one server with demonstration data.

It is one module because starting that server takes longer than all of these tests.
"""

import email
import email.policy
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from graphql import OperationDefinitionNode, OperationType, parse, print_ast

from tests.architecture.repository import ROOT, markdown_files, shown
from tests.examples.conftest import PATIENCE_SECONDS, DemoServer
from tests.sales_files import many_sales, sale, sales_csv

ACCOUNTS = ROOT / "docs/accounts.md"
IDEMPOTENCY = ROOT / "docs/idempotency.md"
EXAMPLES = ROOT / "client_examples"
LONGEST = {ACCOUNTS: 120, IDEMPOTENCY: 100, EXAMPLES / "import_and_report.py": 100}
QUERY = re.compile(r"```graphql\n(.*?)```", re.DOTALL)
SHELL_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)
QUERIES = [
    pytest.param(query, id=f"{shown(page)}-{number}")
    for page in markdown_files()
    # whose operations are run one after another
    if page != ACCOUNTS
    for number, query in enumerate(QUERY.findall(page.read_text()), start=1)
]
GRAPHIQL = sorted((ROOT / "graphql_api/transport/graphiql/examples").glob("*.graphql"))
STAFF = "staff@demo.example"
CODE = re.compile(r"^ +([0-9A-Z]{8,10})\s*$", re.MULTILINE)
ACCEPT = """
mutation ($input: AcceptInvitationInput!) {
  acceptInvitation(input: $input) { user { email role } userErrors { message } }
}
"""


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
    for address in demo_server.passwords:
        answer = demo_server.execute(query, authorization=f"Bearer {demo_server.sign_in(address)}")
        seen[answer["me"]["role"]] = answer["products"]["totalCount"], answer["invoices"]["totalCount"]

    everything = seen["ADMIN"][1]
    assert seen["STAFF"] == (12, everything)
    assert seen["SALESPERSON"] == (0, everything)
    assert 100 < seen["CUSTOMER"][1] < 1_000 < everything


@pytest.mark.parametrize("path", LONGEST, ids=shown)
def test_it_is_short(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= LONGEST[path]


def read_operations() -> dict[str, str]:
    """The operations of the page by their names."""
    blocks = QUERY.findall(ACCOUNTS.read_text())
    return {name_of(block): block for block in blocks}


def name_of(document: str) -> str:
    (operation,) = parse(document).definitions
    assert isinstance(operation, OperationDefinitionNode)
    assert operation.name
    return operation.name.value


class Visitor:
    """A client that runs the operations of the page."""

    def __init__(self, server: DemoServer) -> None:
        self._server = server
        self._operations = read_operations()
        self.not_run = set(self._operations)

    def run(self, name: str, token: str | None = None, /, **variables: str) -> dict[str, Any]:
        """The one field of the answer."""
        self.not_run.discard(name)
        headers = {"authorization": f"Bearer {token}"} if token else {}
        (field,) = self._server.execute(self._operations[name], variables, **headers).values()
        assert not field.get("userErrors"), field
        return dict(field)

    def mailed_code(self, address: str) -> str:
        """The code of the mail to this address, once it is there."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            for file in (self._server.folder / "mail").glob("*.eml"):
                mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
                body = mail.get_body(("plain",))
                if mail["To"] == address and body and (found := CODE.search(body.get_content())):
                    return found[1]
            time.sleep(0.05)
        raise AssertionError(f"No code was mailed to {address}.")


def test_every_operation_of_the_page_on_accounts_does_what_it_says(demo_server: DemoServer, admin_token: str) -> None:
    visitor = Visitor(demo_server)

    # signing in, asking, and staying signed in
    address = "customer@demo.example"
    session = visitor.run("SignIn", email=address, password=demo_server.passwords[address])
    assert visitor.run("Me", session["accessToken"])["role"] == "CUSTOMER"
    renewed = visitor.run("Renew", refreshToken=session["refreshToken"])
    repeated = visitor.run("Renew", refreshToken=session["refreshToken"])
    assert renewed["refreshToken"] == repeated["refreshToken"] != session["refreshToken"]
    assert visitor.run("Me", renewed["accessToken"])["email"] == address

    # registering
    password = "violet harbour lantern"  # noqa: S105 - of an account that lives as long as this test
    pending = visitor.run("Register", email="new@shop.example", name="New", password=password)
    verified = visitor.run("Verify", token=pending["token"], code=visitor.mailed_code("new@shop.example"))
    assert verified["user"]["role"] == "CUSTOMER"

    # inviting, with the code of the answer being that of the mail
    invitation = visitor.run("Invite", admin_token, email="ada@shop.example", role="STAFF")
    assert visitor.mailed_code("ada@shop.example") == invitation["code"]
    acceptance = {"email": "ada@shop.example", "code": invitation["code"], "name": "Ada", "password": password}
    accepted = demo_server.execute(ACCEPT, {"input": acceptance})["acceptInvitation"]
    assert accepted == {"user": {"email": "ada@shop.example", "role": "STAFF"}, "userErrors": []}

    assert visitor.not_run == set()


def test_every_command_of_the_page_on_repetitions_does_what_it_says(demo_server: DemoServer, staff_token: str) -> None:
    script = "\n".join(["set -eu", *SHELL_BLOCK.findall(IDEMPOTENCY.read_text())]).replace("\n}'", "\n}'; echo")
    script = script.replace("\n  }'\ndone", "\n  }'; echo\ndone")
    environment = {**os.environ, "API": demo_server.address, "AUTHORIZATION": f"authorization: Bearer {staff_token}"}

    command = ["bash", "-c", script]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )

    assert done.returncode == 0, done.stderr
    *answers, refused = [json.loads(line)["data"]["createProduct"] for line in done.stdout.splitlines()]
    assert len(answers) == 4
    assert answers == [answers[0]] * 4
    assert (answers[0]["product"]["sku"], answers[0]["userErrors"]) == ("IDEM-1", [])
    assert refused == {"product": None, "userErrors": [{"code": "IDEMPOTENCY_KEY_REUSED"}]}
    found = demo_server.execute(
        '{ products(where: {sku: {startsWith: "IDEM-"}}) { nodes { sku } } }', authorization=f"Bearer {staff_token}"
    )
    assert found == {"products": {"nodes": [{"sku": "IDEM-1"}]}}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a file of 300 good lines and a bad one."""
    (tmp_path / "sales.csv").write_bytes(sales_csv([*many_sales(300), sale("S1", date="2019-02-30")]))
    return tmp_path


@pytest.fixture
def account(demo_server: DemoServer) -> dict[str, str]:
    """What the Python client signs in with."""
    return {**os.environ, "API_EMAIL": STAFF, "API_PASSWORD": demo_server.passwords[STAFF]}


def run(*command: str | Path, folder: Path, environment: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_every_command_of_the_curl_page_works(demo_server: DemoServer, folder: Path) -> None:
    # given the commands of the page, for the server of this test
    blocks = SHELL_BLOCK.findall((EXAMPLES / "curl.md").read_text())
    script = "\n".join(["set -eu", *blocks])
    script = script.replace("http://127.0.0.1:8000", demo_server.address)
    script = script.replace("as-printed", demo_server.passwords[STAFF])
    # what a server waits for has a second to answer: on a busy machine it is asked again
    script = script.replace("curl -sf $API/health/ready", "until curl -sf $API/health/ready; do sleep 0.1; done")
    # when they are run one after another
    output = run("bash", "-c", script, folder=folder)
    # then none failed, the reports have rows, and the import is told of
    assert '"errors"' not in output
    assert output.count('"revenue"') > 10
    counts = re.search(r'"rowsRead": ?(\d+), ?"rowsInserted": ?(\d+).*"rowsRejected": ?(\d+)', output)
    assert counts
    assert (counts[1], counts[3]) == ("301", "1")
    rejects = (folder / "rejects.csv").read_text().splitlines()
    assert rejects[0].endswith("reject_line,reject_column,reject_code,reject_value,reject_hint")
    assert "BAD_DATE" in rejects[1]


def test_the_page_shows_what_the_server_says(server_address: str, folder: Path) -> None:
    shown = re.findall(r"```json\n(.*?)\n```", (EXAMPLES / "curl.md").read_text(), re.DOTALL)
    until_ready = f"until curl -sf {server_address}/health/ready; do sleep 0.1; done"
    assert [run("bash", "-c", until_ready, folder=folder)] == shown


def test_the_python_client_imports_and_reports(server_address: str, account: dict[str, str], folder: Path) -> None:
    script = EXAMPLES / "import_and_report.py"
    url = f"{server_address}/graphql"
    output = run(sys.executable, script, url, "sales.csv", folder=folder, environment=account)
    assert "COMPLETED" in output
    assert "'rowsRead': 301" in output
    assert "'rowsRejected': 1" in output
    assert re.search(r"^\s*KINGSMEAD +\d+\.\d\d +\d+\.\d\d +\d+ +0\.\d+", output, re.MULTILINE)
    assert re.search(r"^\s*total +\d+\.\d\d +\d+\.\d\d +\d+", output, re.MULTILINE)


def failure(server_address: str, folder: Path, environment: dict[str, str]) -> tuple[str, str]:
    """What the Python client prints, and on which standard error it ends."""
    command = [sys.executable, str(EXAMPLES / "import_and_report.py"), f"{server_address}/graphql", "sales.csv"]
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=PATIENCE_SECONDS, check=False
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    return done.stdout, done.stderr


def test_the_python_client_says_why_a_file_is_refused(
    server_address: str, account: dict[str, str], folder: Path
) -> None:
    (folder / "sales.csv").write_text("Date,Colour\n2024-01-01,red\n")

    output, errors = failure(server_address, folder, account)

    assert "FAILED" in output
    assert "Colour" in errors


def test_the_python_client_says_why_it_cannot_sign_in(
    server_address: str, account: dict[str, str], folder: Path
) -> None:
    _, errors = failure(server_address, folder, {**account, "API_PASSWORD": "something else"})

    assert "password" in errors
