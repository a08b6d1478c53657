"""Print each change of stock in a city as it happens: `subscribe.py URL CITY [--max N]`.

Needs `gql[aiohttp,websockets]`. URL is the endpoint, such as http://127.0.0.1:8000/graphql. Signs in with API_EMAIL and
API_PASSWORD of the environment. A lost connection comes back behind the last change: none is missing or comes twice.
"""

import argparse
import asyncio
import os
import sys
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from hashlib import sha256
from secrets import token_hex
from typing import Any

from gql import Client, GraphQLRequest, gql
from gql.transport.aiohttp import AIOHTTPTransport
from gql.transport.exceptions import TransportError
from gql.transport.websockets import WebsocketsTransport

LOGIN = gql("""
    mutation Login($input: LoginInput!) { login(input: $input) { accessToken refreshToken userErrors { message } } }
""")
RENEW = gql("""
    mutation Renew($input: RefreshTokenInput!) {
      refreshToken(input: $input) { accessToken refreshToken userErrors { message } }
    }
""")
CHANGES = gql("""
    subscription Changes($city: String!, $after: Cursor) {
      stockChanged(where: {city: {eq: $city}}, after: $after) {
        cursor before delta after cause store { name } product { name }
      }
    }
""")
LOST = (TransportError, OSError, TimeoutError)


async def tokens_of(url: str, request: GraphQLRequest, **values: str) -> dict[str, str]:
    """The tokens that a mutation answers with; the access token is good for 15 minutes, the refresh token for once."""
    request.variable_values = {"input": values}
    # A renewal whose answer was lost is sent again with the same key, and answered again with the same tokens.
    key = sha256(values.get("refreshToken", token_hex()).encode()).hexdigest()
    async with Client(transport=AIOHTTPTransport(url, headers={"Idempotency-Key": key})) as session:
        (payload,) = (await session.execute(request)).values()
    if payload["userErrors"]:
        raise SystemExit(payload["userErrors"][0]["message"])
    return dict(payload)


async def changes(url: str, token: str, variables: dict[str, Any]) -> AsyncGenerator[dict[str, Any], None]:
    """The changes behind the cursor `after` of the variables, or from now on, until the connection is lost."""
    transport = WebsocketsTransport(
        url.replace("http", "ws", 1),
        subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
        init_payload={"authorization": f"Bearer {token}"},  # not in the address, which ends up in logs
    )
    async with Client(transport=transport) as session:
        variables["after"] = variables["after"] or transport.payloads["connection_ack"]["cursor"]
        CHANGES.variable_values = variables
        async with aclosing(session.subscribe(CHANGES)) as results:
            async for result in results:
                yield result["stockChanged"]


async def main(url: str, city: str, most: int | None) -> None:
    """Sign in and print changes, `most` at most; after each loss renew the tokens and go on behind the last change."""
    tokens = await tokens_of(url, LOGIN, email=os.environ["API_EMAIL"], password=os.environ["API_PASSWORD"])
    variables, count = {"city": city, "after": None}, 0
    while True:
        try:
            async with aclosing(changes(url, tokens["accessToken"], variables)) as stream:
                async for change in stream:
                    bottles = f"{change['before']} {change['delta']:+} = {change['after']} bottles"
                    names = change["store"]["name"], change["product"]["name"]
                    print(*names, bottles, change["cause"], sep=" | ", flush=True)
                    variables["after"], count = change["cursor"], count + 1
                    if count == most:
                        return
        except LOST as error:
            problem = (getattr(error, "errors", None) or [None])[0]
            if problem and problem["extensions"]["code"] not in {"SERVICE_UNAVAILABLE", "RATE_LIMITED"}:
                raise SystemExit(problem["message"]) from None
            print(f"The connection is lost, coming back: {error}", file=sys.stderr)
        await asyncio.sleep(1)
        with suppress(*LOST):
            tokens = await tokens_of(url, RENEW, refreshToken=tokens["refreshToken"])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", metavar="URL")
    parser.add_argument("city", metavar="CITY")
    parser.add_argument("--max", metavar="N", type=int, help="stop after so many changes")
    arguments = parser.parse_args()
    try:
        asyncio.run(main(arguments.url, arguments.city, arguments.max))
    except LOST as error:
        raise SystemExit(f"The sign-in at {arguments.url} has failed: {error}") from None
