// Subscriptions with graphql-ws over ws, as its documentation shows them: node_server.mjs
// POST /publish?count=N tells every subscriber of N changes of stock.
import { createServer } from 'node:http';

import { buildSchema } from 'graphql';
import { useServer } from 'graphql-ws/use/ws';
import { WebSocketServer } from 'ws';

const listeners = new Set();
let last = 0;

// Changes from now on; those that come while one is being sent wait in a list.
function changes() {
  let waiting = [];
  let wake = null;
  const hear = (change) => {
    waiting.push(change);
    wake?.();
  };
  listeners.add(hear);
  return {
    async next() {
      while (!waiting.length) {
        await new Promise((resolve) => (wake = resolve));
      }
      return { value: { stockChanged: waiting.shift() }, done: false };
    },
    async return() {
      listeners.delete(hear);
      waiting = [];
      return { value: undefined, done: true };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

function publish(count) {
  for (let index = 0; index < count; index++) {
    last += 1;
    const change = {
      cursor: Buffer.from(`events1:benchmark:${last}`).toString('base64url'),
      before: last - 1,
      after: last,
      delta: 1,
      cause: 'ADJUSTMENT',
      store: { number: 2001, name: 'Store 1' },
      product: { sku: 'B-1', name: 'Product 1' },
    };
    listeners.forEach((hear) => hear(change));
  }
}

const schema = buildSchema(`
  type Store { number: Int! name: String! }
  type Product { sku: String! name: String! }
  type StockChange {
    cursor: String! before: Int! after: Int! delta: Int! cause: String! store: Store! product: Product!
  }
  type Query { ready: Boolean! }
  type Subscription { stockChanged: StockChange! }
`);
schema.getSubscriptionType().getFields().stockChanged.subscribe = changes;

const server = createServer((request, response) => {
  publish(Number(new URL(request.url, 'http://localhost').searchParams.get('count')));
  response.end();
});
useServer({ schema }, new WebSocketServer({ server, path: '/graphql' }));
server.listen(0, '127.0.0.1', 2048, () => console.log(server.address().port));
