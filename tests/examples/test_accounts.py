"""docs/accounts.md as a client lives it: its operations, one after another, with the codes that come by mail."""

import email
import email.policy
import re
import time
from typing import Any

from graphql import OperationDefinitionNode, parse

from tests.architecture.repository import ROOT
from tests.examples.conftest import PATIENCE_SECONDS, DemoServer

PAGE = ROOT / "docs/accounts.md"
LONGEST_PAGE = 120
CODE = re.compile(r"^ +([0-9A-Z]{8,10})\s*$", re.MULTILINE)
ACCEPT = """
mutation ($input: AcceptInvitationInput!) {
  acceptInvitation(input: $input) { user { email role } userErrors { message } }
}
"""


def read_operations() -> dict[str, str]:
    """The operations of the page by their names."""
    blocks = re.findall(r"```graphql\n(.*?)```", PAGE.read_text(), re.DOTALL)
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


def test_the_page_is_short() -> None:
    assert len(PAGE.read_text().splitlines()) <= LONGEST_PAGE


def test_every_operation_of_the_page_does_what_it_says(demo_server: DemoServer) -> None:
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
    admin = demo_server.sign_in("admin@demo.example")
    invitation = visitor.run("Invite", admin, email="ada@shop.example", role="STAFF")
    assert visitor.mailed_code("ada@shop.example") == invitation["code"]
    acceptance = {"email": "ada@shop.example", "code": invitation["code"], "name": "Ada", "password": password}
    accepted = demo_server.execute(ACCEPT, {"input": acceptance})["acceptInvitation"]
    assert accepted == {"user": {"email": "ada@shop.example", "role": "STAFF"}, "userErrors": []}

    assert visitor.not_run == set()
