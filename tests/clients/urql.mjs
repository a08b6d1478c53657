// urql: queries and mutations over HTTP, subscriptions over graphql-ws by its subscription exchange.
import { Client, fetchExchange, subscriptionExchange } from '@urql/core';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

import { codesOf, credentials, endpoint, listenAgainAndAgain, run, socketEndpoint, SUBSCRIPTION } from './story.mjs';
import { askOverHttp } from './urql_http.mjs';

function connect(token) {
  const socket = createClient({
    url: socketEndpoint,
    webSocketImpl: WebSocket,
    connectionParams: credentials(token),
    retryAttempts: 0,
  });
  const forwardSubscription = ({ query, variables }) => ({
    subscribe: (sink) => ({ unsubscribe: socket.subscribe({ query, variables }, sink) }),
  });
  return new Client({ url: endpoint, exchanges: [fetchExchange, subscriptionExchange({ forwardSubscription })] });
}

// The error that a subscription ends with.
function subscribe(client, variables, heard) {
  return new Promise((resolve) => {
    client.subscription(SUBSCRIPTION, variables).subscribe((result) => {
      if (result.data) {
        heard(result);
      }
      if (result.error) {
        resolve(result.error);
      }
    });
  });
}

async function refusal(token) {
  const { graphQLErrors, networkError } = await subscribe(connect(token), {});
  return networkError ? { close: networkError.code, message: networkError.message } : { codes: codesOf(graphQLErrors) };
}

function listen(token, where, after, heard) {
  const client = connect(token);
  return listenAgainAndAgain(after, heard, (cursor, hear) => subscribe(client, { where, after: cursor }, hear));
}

await run({ ask: askOverHttp, refusal, listen });
