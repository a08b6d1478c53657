"""Import a sales file and print the sales of each county: `import_and_report.py URL FILE`.

Needs `gql[aiohttp]` and `pandas`. The URL is the endpoint, such as http://127.0.0.1:8000/graphql. Signs in with the
environment variables API_EMAIL and API_PASSWORD, as somebody who may import.
"""

import argparse
import asyncio
import os
from pathlib import Path
from typing import Any

import pandas as pd
from gql import Client, FileVar, gql
from gql.client import AsyncClientSession
from gql.transport.aiohttp import AIOHTTPTransport

LOGIN = gql("""
    mutation Login($input: LoginInput!) {
      login(input: $input) { accessToken userErrors { message } }
    }
""")
START = gql("""
    mutation Start($file: Upload!) {
      startImport(input: {file: $file}) { import { id } userErrors { message path } }
    }
""")
WATCH = gql("""
    query Watch($id: ID!) {
      import(id: $id) { status rowsRead rowsInserted rowsUnchanged rowsRejected rejectsUrl
        failure { message hint } progress { share rowsPerSecond } }
    }
""")
REPORT = gql("""
    query Report {
      salesReport(groupBy: [{dimension: COUNTY}], first: 10, others: true) {
        rows { label share measures { revenue profit quantity } }
        others { revenue profit quantity } grandTotal { revenue profit quantity }
      }
    }
""")
UNFINISHED = {"QUEUED", "RUNNING", "CANCELLING"}


async def sign_in(url: str) -> dict[str, str]:
    """The headers of requests in the name of the account; the access token in them is good for 15 minutes."""
    LOGIN.variable_values = {"input": {"email": os.environ["API_EMAIL"], "password": os.environ["API_PASSWORD"]}}
    async with Client(transport=AIOHTTPTransport(url)) as session:
        payload = (await session.execute(LOGIN))["login"]
    if payload["userErrors"]:
        raise SystemExit(payload["userErrors"][0]["message"])
    # The second header tells the server that no foreign web page sends the file.
    return {"Authorization": f"Bearer {payload['accessToken']}", "GraphQL-Require-Preflight": "1"}


async def start_import(session: AsyncClientSession, path: Path) -> str:
    """Upload the file; the id of its import."""
    START.variable_values = {"file": FileVar(str(path))}
    payload = (await session.execute(START, upload_files=True))["startImport"]
    if payload["userErrors"]:
        raise SystemExit(payload["userErrors"][0]["message"])
    return str(payload["import"]["id"])


async def watch_import(session: AsyncClientSession, import_id: str) -> dict[str, Any]:
    """Print the progress until the import has ended; how it ended."""
    WATCH.variable_values = {"id": import_id}
    while True:
        job: dict[str, Any] = (await session.execute(WATCH))["import"]
        progress = job["progress"]
        print(f"{job['status']:10} {progress['share']:4.0%} {progress['rowsPerSecond']:,.0f} rows/s")
        if job["status"] not in UNFINISHED:
            return job
        await asyncio.sleep(0.5)


async def main(url: str, path: Path) -> None:
    """Sign in, import, wait, report."""
    async with Client(transport=AIOHTTPTransport(url, headers=await sign_in(url))) as session:
        job = await watch_import(session, await start_import(session, path))
        print({name: job[name] for name in ("rowsRead", "rowsInserted", "rowsUnchanged", "rowsRejected")})
        if job["failure"]:
            raise SystemExit(f"{job['failure']['message']} {job['failure']['hint']}")
        report = (await session.execute(REPORT))["salesReport"]
    # Money arrives as text with two decimals: exact, unlike a floating-point number.
    rows = [{"county": row["label"], **row["measures"], "share": row["share"]} for row in report["rows"]]
    rows += [{"county": "others", **(report["others"] or {})}, {"county": "total", **report["grandTotal"]}]
    print(pd.DataFrame(rows).to_string(index=False, na_rep=""))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", metavar="URL")
    parser.add_argument("file", metavar="FILE", type=Path)
    arguments = parser.parse_args()
    asyncio.run(main(arguments.url, arguments.file))
