// What every client is put through: a query, a mutation, three refusals, and changes of stock for as long as it runs.
// Arguments: ENDPOINT; the environment holds logins and ids, see test_clients.py. Prints a line of JSON for each thing.
import { setTimeout as pause } from 'node:timers/promises';

export const RETRY_MILLISECONDS = 100;
export const QUERY = 'query Product($sku: String!) { product(sku: $sku) { sku name } }';
export const MUTATION = `
  mutation Adjust($input: AdjustStockInput!) {
    adjustStock(input: $input) { movements { quantity } userErrors { code } }
  }
`;
export const SUBSCRIPTION = `
  subscription Changes($where: StockChangeWhere, $after: Cursor) {
    stockChanged(where: $where, after: $after) { cursor before delta after cause product { sku } store { number } }
  }
`;
const LOGIN = 'mutation Login($input: LoginInput!) { login(input: $input) { accessToken userErrors { message } } }';

export const endpoint = process.argv[2];
export const socketEndpoint = endpoint.replace('http', 'ws');

export function print(kind, content) {
  console.log(JSON.stringify({ kind, ...content }));
}

export async function signIn(email) {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query: LOGIN, variables: { input: { email, password: process.env.API_PASSWORD } } }),
  });
  const { data, errors } = await response.json();
  if (!data?.login.accessToken) {
    throw new Error(JSON.stringify(data ?? errors));
  }
  return data.login.accessToken;
}

// What a token is called in headers and in the parameters of a connection.
export function credentials(token) {
  return token ? { authorization: `Bearer ${token}` } : {};
}

export function codesOf(errors) {
  return errors?.map((error) => error.extensions?.code ?? error.message);
}

// Listen for good: `subscribe(after, heard)` resolves when the connection is lost; it is called again from there on.
export async function listenAgainAndAgain(after, heard, subscribe) {
  let cursor = after;
  for (;;) {
    const problem = await subscribe(cursor, (result) => {
      cursor = result.data.stockChanged.cursor;
      heard(result);
    });
    print('lost', { problem: String(problem) });
    await pause(RETRY_MILLISECONDS);
  }
}

// A client has `ask(token, document, variables)`, `refusal(token)`, and `listen(token, where, after, heard)`.
export async function run({ ask, refusal, listen }) {
  const { STAFF_EMAIL, CUSTOMER_EMAIL, SKU, STORE_ID, OTHER_PRODUCT_ID, AFTER } = process.env;
  const token = await signIn(STAFF_EMAIL);
  print('query', await ask(token, QUERY, { sku: SKU }));
  const input = { storeId: STORE_ID, productId: OTHER_PRODUCT_ID, quantity: 1, unitCost: '6.00', reason: 'client' };
  print('mutation', await ask(token, MUTATION, { input }));
  print('refused', { whom: 'stranger', ...(await refusal(undefined)) });
  print('refused', { whom: 'forger', ...(await refusal(`${token}x`)) });
  print('refused', { whom: 'customer', ...(await refusal(await signIn(CUSTOMER_EMAIL))) });
  const where = { sku: { eq: SKU } };
  await listen(token, where, AFTER, ({ data }) => print('change', data.stockChanged));
}
