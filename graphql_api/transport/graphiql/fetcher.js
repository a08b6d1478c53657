import { createGraphiQLFetcher } from '@graphiql/toolkit';

const endpoint = new URL(location.pathname, location.origin);
const socket = new URL(endpoint);
socket.protocol = endpoint.protocol.replace('http', 'ws');

// A proxy or a size limit answers in plain text: show its words instead of a JSON syntax error.
async function fetchJson(url, request) {
  const response = await fetch(url, request);
  if (response.headers.get('content-type')?.includes('json')) {
    return response;
  }
  const message = `HTTP ${response.status} ${response.statusText}: ${await response.text()}`;
  return Response.json({ errors: [{ message }] });
}

// Queries and mutations are posted; a subscription opens a WebSocket with the headers as connection parameters.
const send = createGraphiQLFetcher({
  url: endpoint.href,
  subscriptionUrl: socket.href,
  headers: { 'GraphQL-Require-Preflight': '1' },
  enableIncrementalDelivery: false,
  fetch: fetchJson,
});

// Just after a change of tabs GraphiQL still gives the name of the other tab's operation; without it the only one runs.
export function fetcher({ operationName, ...request }, options) {
  const isNamed = new RegExp(`\\b${operationName}\\b`).test(request.query);
  return send(isNamed ? { operationName, ...request } : request, options);
}
