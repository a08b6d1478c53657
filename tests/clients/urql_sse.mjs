// urql without WebSockets: its fetch exchange asks for subscriptions as server-sent events.
import { Client, fetchExchange } from '@urql/core';

import { codesOf, credentials, endpoint, listenAgainAndAgain, run, SUBSCRIPTION } from './story.mjs';
import { askOverHttp } from './urql_http.mjs';

function connect(token) {
  return new Client({
    url: endpoint,
    exchanges: [fetchExchange],
    fetchSubscriptions: true,
    fetchOptions: { headers: credentials(token) },
  });
}

// The error that a subscription ends with; a stream that breaks off between events has none.
function subscribe(client, variables, heard) {
  return new Promise((resolve) => {
    client.subscription(SUBSCRIPTION, variables).subscribe((result) => {
      if (result.data && result.hasNext !== false) {
        heard(result);
      }
      if (result.error || result.hasNext === false) {
        resolve(result.error ?? 'complete');
      }
    });
  });
}

async function refusal(token) {
  const { graphQLErrors, response } = await subscribe(connect(token), {});
  return { codes: codesOf(graphQLErrors), status: response?.status };
}

function listen(token, where, after, heard) {
  const client = connect(token);
  return listenAgainAndAgain(after, heard, (cursor, hear) => subscribe(client, { where, after: cursor }, hear));
}

await run({ ask: askOverHttp, refusal, listen });
