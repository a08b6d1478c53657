"""docs/idempotency.md as a client lives it: its commands, one after another."""

import json
import os
import re
import subprocess

from tests.architecture.repository import ROOT
from tests.examples.conftest import PATIENCE_SECONDS, DemoServer

PAGE = ROOT / "docs/idempotency.md"
LONGEST_PAGE = 100
SHELL_BLOCK = re.compile(r"```sh\n(.*?)```", re.DOTALL)


def test_the_page_is_short() -> None:
    assert len(PAGE.read_text().splitlines()) <= LONGEST_PAGE


def test_every_command_of_the_page_does_what_it_says(demo_server: DemoServer, staff_token: str) -> None:
    script = "\n".join(["set -eu", *SHELL_BLOCK.findall(PAGE.read_text())]).replace("\n}'", "\n}'; echo")
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
