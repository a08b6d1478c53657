// A query or a mutation by urql; tells what was asked to be accepted, and what came.
import { Client, fetchExchange } from '@urql/core';

import { codesOf, credentials, endpoint } from './story.mjs';

export async function askOverHttp(token, document, variables) {
  const seen = {};
  const client = new Client({
    url: endpoint,
    exchanges: [fetchExchange],
    fetchOptions: { headers: credentials(token) },
    fetch: async (url, options) => {
      const response = await fetch(url, options);
      Object.assign(seen, {
        method: options.method,
        accept: options.headers.accept,
        contentType: response.headers.get('content-type'),
      });
      return response;
    },
  });
  const isMutation = document.trim().startsWith('mutation');
  const { data, error } = await (isMutation ? client.mutation(document, variables) : client.query(document, variables));
  return { data, codes: codesOf(error?.graphQLErrors), ...seen };
}
