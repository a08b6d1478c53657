import { createClient } from 'graphql-ws';

import { endpoint } from './request.js';
import { signedHeaders } from './session.js';

const RETRIES = 10;
const LONGEST_WAIT_MILLISECONDS = 8_000;
const FORBIDDEN = 4403;
const address = new URL(endpoint);
address.protocol = endpoint.protocol.replace('http', 'ws');

// The results of a subscription, over a WebSocket of its own: what the user has stopped leaves nothing open.
export function listen(request, headers) {
  const results = connect(headers).iterate(request);
  return {
    next: () => results.next().catch((problem) => ({ value: { errors: errorsOf(problem) }, done: false })),
    return: () => results.return(),
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

// With the headers as parameters of the connection, and the session's access token for as long as there is a session.
function connect(headers) {
  let socket;
  let sent = {};
  let refused = null;
  return createClient({
    url: address.href,
    connectionParams: async () => (sent = await signedHeaders(headers, refused)),
    retryAttempts: RETRIES,
    retryWait: (times) => pause(Math.min(250 * 2 ** times, LONGEST_WAIT_MILLISECONDS) + Math.random() * 250),
    // A token that was refused is tried once more, as another one of the same session; one that the user wrote is not.
    shouldRetry(problem) {
      if (problem.code !== FORBIDDEN) {
        return true;
      }
      const isHopeless = sent === headers || sent.Authorization === refused;
      refused = sent.Authorization;
      return !isHopeless;
    },
    on: {
      connected(opened) {
        socket = opened;
      },
      // The access token is about to end; the next one goes over the same connection.
      async ping(isReceived, notice) {
        if (isReceived && notice?.type === 'AuthExpiring' && sent !== headers) {
          sent = await signedHeaders(headers, sent.Authorization);
          // it may have closed meanwhile; the next one begins with the new token
          if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify({ type: 'ping', payload: sent }));
        }
      },
    },
  });
}

function pause(milliseconds) {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

// In the form of any other answer: the operation's own errors, or what has become of the connection.
function errorsOf(problem) {
  if (Array.isArray(problem)) {
    return problem;
  }
  if (problem instanceof CloseEvent) {
    return [{ message: `${problem.reason || 'The connection is lost.'} (${problem.code})` }];
  }
  return [{ message: problem.message ?? 'The connection could not be opened.' }];
}
