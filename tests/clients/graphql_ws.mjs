// npm graphql-ws: everything over one WebSocket, which it opens again by itself.
import { once } from 'node:events';
import { createInterface } from 'node:readline';

import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

import { codesOf, credentials, print, RETRY_MILLISECONDS, run, socketEndpoint, SUBSCRIPTION } from './story.mjs';

const RENEWAL = 'mutation Renew($token: String!) { refreshToken(input: {refreshToken: $token}) { accessToken } }';

function connect(token, options) {
  return createClient({
    url: socketEndpoint,
    webSocketImpl: WebSocket,
    connectionParams: credentials(token),
    retryAttempts: 0,
    ...options,
  });
}

// How it ends when it never begins: a code of the whole connection, or the codes of the operation's errors.
function outcome(client, request) {
  return new Promise((resolve) => {
    let result = {};
    client.subscribe(request, {
      next: (value) => (result = value),
      complete: () => resolve(result),
      error: (error) => resolve(Array.isArray(error) ? { codes: codesOf(error) } : { close: error.code }),
    });
  });
}

async function ask(token, query, variables) {
  const client = connect(token);
  const { data, errors } = await outcome(client, { query, variables });
  await client.dispose();
  return { data, codes: codesOf(errors) };
}

function refusal(token) {
  return outcome(connect(token), { query: SUBSCRIPTION });
}

// With a token that ends soon, asked for when it is needed, which is renewed when the server says so.
async function listen(_token, where, after, heard) {
  const input = createInterface(process.stdin);
  const said = once(input, 'line');
  print('ready');
  const session = JSON.parse((await said)[0]);
  input.close();
  let token = session.accessToken;
  let socket;
  const client = connect(token, {
    connectionParams: () => credentials(token),
    retryAttempts: Infinity,
    retryWait: () => new Promise((resolve) => setTimeout(resolve, RETRY_MILLISECONDS)),
    shouldRetry: () => true,
    on: {
      connected: (opened) => (socket = opened),
      closed: ({ code }) => print('closed', { code }),
      ping: async (isReceived, payload) => {
        if (isReceived && payload?.type === 'AuthExpiring') {
          print('expiring', payload);
          token = await nextToken(session.refreshToken);
          socket.send(JSON.stringify({ type: 'ping', payload: credentials(token) }));
        }
      },
      pong: (isReceived, payload) => isReceived && print('renewed', payload),
    },
  });
  // It is sent again as it is after each loss, so it has to say from where on.
  const variables = { where, after };
  client.subscribe(
    { query: SUBSCRIPTION, variables },
    {
      next: (result) => {
        variables.after = result.data.stockChanged.cursor;
        heard(result);
      },
      complete: () => print('complete'),
      error: (error) => print('error', { error }),
    },
  );
}

// The next one of the same session.
async function nextToken(refreshToken) {
  const { data } = await ask(undefined, RENEWAL, { token: refreshToken });
  return data.refreshToken.accessToken;
}

await run({ ask, refusal, listen });
