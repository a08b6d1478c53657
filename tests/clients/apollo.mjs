// Apollo Client: queries and mutations over HTTP, subscriptions over its link to graphql-ws.
import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from '@apollo/client';
import { CombinedGraphQLErrors } from '@apollo/client/errors';
import { GraphQLWsLink } from '@apollo/client/link/subscriptions';
import { OperationTypeNode } from 'graphql';
import { createClient } from 'graphql-ws';
import WebSocket from 'ws';

import { codesOf, credentials, endpoint, listenAgainAndAgain, run, socketEndpoint, SUBSCRIPTION } from './story.mjs';

globalThis.WebSocket = WebSocket; // the link asks for its constants

function connect(token) {
  const http = new HttpLink({ uri: endpoint, headers: credentials(token) });
  const socket = new GraphQLWsLink(
    createClient({ url: socketEndpoint, connectionParams: credentials(token), retryAttempts: 0 }),
  );
  const isSubscription = ({ operationType }) => operationType === OperationTypeNode.SUBSCRIPTION;
  return new ApolloClient({ cache: new InMemoryCache(), link: ApolloLink.split(isSubscription, socket, http) });
}

async function ask(token, document, variables) {
  const client = connect(token);
  const query = gql(document);
  const isMutation = query.definitions[0].operation === 'mutation';
  const { data } = await (isMutation
    ? client.mutate({ mutation: query, variables })
    : client.query({ query, variables }));
  return { data };
}

// The error that a subscription ends with.
function subscribe(client, variables, heard) {
  return new Promise((resolve) => {
    client.subscribe({ query: gql(SUBSCRIPTION), variables, fetchPolicy: 'no-cache' }).subscribe({
      next: ({ data, error }) => (error ? resolve(error) : heard({ data })),
      error: resolve,
      complete: () => resolve('complete'),
    });
  });
}

async function refusal(token) {
  const error = await subscribe(connect(token), {});
  return CombinedGraphQLErrors.is(error) ? { codes: codesOf(error.errors) } : { message: error.message };
}

function listen(token, where, after, heard) {
  const client = connect(token);
  return listenAgainAndAgain(after, heard, (cursor, hear) => subscribe(client, { where, after: cursor }, hear));
}

await run({ ask, refusal, listen });
