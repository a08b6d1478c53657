// Print each change of stock in a city as it happens: `npx tsx subscribe.ts URL CITY`.
//
// Needs Node.js 20 or newer and `npm install graphql graphql-ws tsx ws`. The URL is the endpoint, such as
// http://127.0.0.1:8000/graphql. Signs in with the environment variables API_EMAIL and API_PASSWORD, as somebody who
// may see stock. When the connection is lost it comes back and goes on behind the last change it has printed: none is
// missing, none comes twice. Browsers need no `ws`.
import { createHash, randomUUID } from 'node:crypto';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

const LOGIN = /* GraphQL */ `
  mutation Login($input: LoginInput!) {
    tokens: login(input: $input) { accessToken refreshToken userErrors { message } }
  }
`;
const RENEW = /* GraphQL */ `
  mutation Renew($input: RefreshTokenInput!) {
    tokens: refreshToken(input: $input) { accessToken refreshToken userErrors { message } }
  }
`;
const CHANGES = /* GraphQL */ `
  subscription Changes($where: StockChangeWhere, $after: Cursor) {
    stockChanged(where: $where, after: $after) {
      cursor before delta after cause store { name } product { name }
    }
  }
`;

type Tokens = { accessToken: string; refreshToken: string; userErrors: Error[] };
type Stock = { cursor: string; before: number; delta: number; after: number; cause: string };
type Change = Stock & { store: { name: string }; product: { name: string } };

class Refused extends Error {}

const [url, city] = process.argv.slice(2);
const { API_EMAIL, API_PASSWORD } = process.env;
let tokens: Tokens = await fetchTokens(LOGIN, { email: API_EMAIL, password: API_PASSWORD }).catch(end);
let socket: WebSocket;
let wasLost = false;

// The access token is good for 15 minutes, the refresh token for once.
async function fetchTokens(query: string, input: object): Promise<Tokens> {
  // A renewal whose answer was lost is sent again with the same key, and answered again with the same tokens.
  const key = createHash('sha256').update((input as Partial<Tokens>).refreshToken ?? randomUUID()).digest('hex');
  const headers = { 'content-type': 'application/json', 'idempotency-key': key };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify({ query, variables: { input } }) });
  const answer = (await response.json()) as { data?: { tokens: Tokens }; errors?: Error[] };
  const [problem] = answer.errors ?? answer.data!.tokens.userErrors;
  if (problem) {
    throw new Refused(problem.message);
  }
  return answer.data!.tokens;
}

async function authorization(isRenewed: boolean) {
  tokens = isRenewed ? await fetchTokens(RENEW, { refreshToken: tokens.refreshToken }) : tokens;
  return { authorization: `Bearer ${tokens.accessToken}` };
}

function print({ store, product, before, delta, after, cause }: Change) {
  const bottles = `${before} ${delta < 0 ? '' : '+'}${delta} = ${after} bottles`;
  console.log([store.name, product.name, bottles, cause].join(' | '));
}

function end(problem: unknown): never {
  const { message } = (Array.isArray(problem) ? problem[0] : problem) as Error;
  console.error(message);
  process.exit(1);
}

// Sent again as it is after a loss, so it always says behind what to go on: a change, or the welcome of the server.
const variables: { where: object; after?: string } = { where: { city: { eq: city } } };
const client = createClient({
  url: url.replace('http', 'ws'),
  webSocketImpl: WebSocket,
  // The token travels inside the connection: an address would end up in logs.
  connectionParams: () => authorization(wasLost),
  retryAttempts: Infinity,
  retryWait: () => new Promise((resolve) => setTimeout(resolve, 500 + Math.random() * 1_000)),
  shouldRetry: (problem) => !(problem instanceof Refused),
  on: {
    connected: (opened, greeting) => {
      socket = opened as WebSocket;
      variables.after ??= greeting!.cursor as string;
    },
    closed: (event) => {
      wasLost = true;
      console.error('The connection is lost, coming back:', (event as CloseEvent).code);
    },
    // The server says when the token is about to end: the next one goes over the same connection, or else a new one.
    ping: (isReceived, payload) => {
      if (isReceived && payload?.type === 'AuthExpiring') {
        authorization(true).then((next) => socket.send(JSON.stringify({ type: 'ping', payload: next })), console.error);
      }
    },
  },
});

client.subscribe<{ stockChanged: Change }>(
  { query: CHANGES, variables },
  {
    next: ({ data, errors }) => {
      const change = data?.stockChanged ?? end(errors);
      print(change);
      variables.after = change.cursor;
    },
    error: end,
    complete: () => {},
  },
);
