import { createGraphiQLFetcher } from '@graphiql/toolkit';
import { getOperationAST, OperationTypeNode, parse } from 'graphql';

import { endpoint, fetchJson, PREFLIGHT } from './request.js';
import { authorized } from './session.js';
import { listen } from './subscription.js';

const send = createGraphiQLFetcher({
  url: endpoint.href,
  headers: PREFLIGHT,
  enableIncrementalDelivery: false,
  fetch: fetchJson,
});

// Queries and mutations are posted; a subscription opens a WebSocket.
// Just after a change of tabs GraphiQL still gives the other tab's document, and the name of its operation. So the text
// decides, and without a name the only operation runs.
export function fetcher({ operationName, ...request }, options) {
  const isNamed = new RegExp(`\\b${operationName}\\b`).test(request.query);
  const named = isNamed ? { operationName, ...request } : request;
  const headers = options?.headers ?? {};
  if (isSubscription(named)) {
    return listen(named, headers);
  }
  return authorized(headers, (signed) => send(named, { ...options, headers: signed }));
}

function isSubscription({ query, operationName }) {
  try {
    return getOperationAST(parse(query), operationName)?.operation === OperationTypeNode.SUBSCRIPTION;
  } catch {
    return false; // the server says what is wrong with it
  }
}
