export const endpoint = new URL(location.pathname, location.origin);
export const PREFLIGHT = { 'GraphQL-Require-Preflight': '1' };

// A proxy or a size limit answers in plain text: show its words instead of a JSON syntax error.
export async function fetchJson(url, request) {
  const response = await fetch(url, request);
  if (response.headers.get('content-type')?.includes('json')) {
    return response;
  }
  const message = `HTTP ${response.status} ${response.statusText}: ${await response.text()}`;
  return Response.json({ errors: [{ message }] });
}

// Run a mutation of our own; its data, or an error in the server's words.
export async function mutate(query, input, token) {
  const headers = { 'Content-Type': 'application/json', ...PREFLIGHT, ...(token && bearer(token)) };
  const body = JSON.stringify({ query, variables: { input } });
  const response = await fetchJson(endpoint, { method: 'POST', headers, body });
  const { data, errors } = await response.json();
  if (errors) {
    throw new Error(errors[0].message);
  }
  return data;
}

export function bearer(token) {
  return { Authorization: `Bearer ${token}` };
}
