import { createGraphiQLFetcher } from '@graphiql/toolkit';

import { endpoint, fetchJson, PREFLIGHT } from './request.js';
import { authorized } from './session.js';

const socket = new URL(endpoint);
socket.protocol = endpoint.protocol.replace('http', 'ws');

// Queries and mutations are posted; a subscription opens a WebSocket with the headers as connection parameters.
const send = createGraphiQLFetcher({
  url: endpoint.href,
  subscriptionUrl: socket.href,
  headers: PREFLIGHT,
  enableIncrementalDelivery: false,
  fetch: fetchJson,
});

// Just after a change of tabs GraphiQL still gives the name of the other tab's operation; without it the only one runs.
export function fetcher({ operationName, ...request }, options) {
  const isNamed = new RegExp(`\\b${operationName}\\b`).test(request.query);
  const named = isNamed ? { operationName, ...request } : request;
  return authorized(options?.headers ?? {}, (headers) => send(named, { ...options, headers }));
}
