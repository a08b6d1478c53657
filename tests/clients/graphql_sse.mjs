// npm graphql-sse in its distinct connections mode: everything as server-sent events, asked for again by itself.
import { createClient, NetworkError } from 'graphql-sse';

import { codesOf, credentials, endpoint, print, RETRY_MILLISECONDS, run, SUBSCRIPTION } from './story.mjs';

function connect(headers, options) {
  return createClient({ url: endpoint, headers, retryAttempts: 0, ...options });
}

// The only result, or how it was refused.
function outcome(client, request) {
  return new Promise((resolve) => {
    let result = {};
    client.subscribe(request, {
      next: (value) => (result = value),
      complete: () => resolve(result),
      error: async (error) => resolve(error instanceof NetworkError ? await refused(error.response) : { error }),
    });
  });
}

async function refused(response) {
  return { status: response?.status, ...(await response?.json()) };
}

async function ask(token, query, variables) {
  const { data, errors } = await outcome(connect(credentials(token)), { query, variables });
  return { data, codes: codesOf(errors) };
}

async function refusal(token) {
  const { status, errors } = await outcome(connect(credentials(token)), { query: SUBSCRIPTION });
  return { status, codes: codesOf(errors) };
}

// Where to go on goes by the header that the standard of server-sent events has for it.
function listen(token, where, after, heard) {
  let lastEventId = after;
  const headers = () => ({ ...credentials(token), 'last-event-id': lastEventId });
  const client = connect(headers, {
    retryAttempts: Infinity,
    retry: () => new Promise((resolve) => setTimeout(resolve, RETRY_MILLISECONDS)),
    on: { connecting: (isAgain) => isAgain && print('lost') },
  });
  client.subscribe(
    { query: SUBSCRIPTION, variables: { where } },
    {
      next: (result) => {
        lastEventId = result.data.stockChanged.cursor;
        heard(result);
      },
      complete: () => print('complete'),
      error: (error) => print('error', { message: error.message }),
    },
  );
}

await run({ ask, refusal, listen });
