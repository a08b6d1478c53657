// Who is signed in, in this tab alone: tokens are kept in memory and in sessionStorage, never in localStorage.
import { bearer, mutate } from './request.js';

const PLACE = 'sales-api-session';
const EARLY_MILLISECONDS = 10_000;
const ENDED = 'Your session has ended. Sign in again.';
const ANSWER = '{ accessToken refreshToken user { name email role } userErrors { message } }';
const SIGN_IN = `mutation SignIn($input: LoginInput!) { answer: login(input: $input) ${ANSWER} }`;
const RENEW = `mutation Renew($input: RefreshTokenInput!) { answer: refreshToken(input: $input) ${ANSWER} }`;
const SIGN_OUT = 'mutation SignOut { logout { userErrors { message } } }';

let state = { session: JSON.parse(sessionStorage.getItem(PLACE)), problem: '' };
let renewal = null;
const listeners = new Set();
// A duplicated tab begins with a copy of the session; if both used its refresh token, it would end for both.
const copies = new BroadcastChannel(PLACE);
copies.onmessage = ({ data: { used, session } }) => {
  if (state.session?.refreshToken === used) {
    change(session);
  }
};

export function subscribe(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

export function current() {
  return state;
}

export async function signIn(email, password) {
  change(null);
  try {
    const { answer } = await mutate(SIGN_IN, { email, password });
    change(created(answer), answer.userErrors[0]?.message);
  } catch (error) {
    change(null, error.message);
  }
}

// Signed out here is what counts: the server may be gone, or the session over.
export async function signOut() {
  const { session } = state;
  change(null);
  try {
    await mutate(SIGN_OUT, undefined, await lastToken(session));
  } catch {
    // then it ends by itself
  }
}

// An access token that has expired would sign nothing out.
async function lastToken({ accessToken, refreshToken, renewAt }) {
  if (Date.now() < renewAt) {
    return accessToken;
  }
  const { answer } = await mutate(RENEW, { refreshToken });
  return answer.accessToken;
}

// Send with the access token, unless the user wrote an `Authorization` of their own. One that is refused is renewed.
export async function authorized(headers, send) {
  const signed = await signedHeaders(headers);
  const answer = await send(signed);
  if (signed === headers || !isRefused(answer)) {
    return answer;
  }
  const again = await signedHeaders(headers, signed.Authorization);
  return again === headers ? answer : send(again);
}

// The headers with the access token; as they are when the user wrote an `Authorization`, and when nobody is signed in.
// `refused` is an `Authorization` that the server did not take, or will not take much longer.
export async function signedHeaders(headers, refused) {
  const isOwn = Object.keys(headers).some((name) => name.toLowerCase() === 'authorization');
  const token = isOwn ? null : await validToken(refused);
  return token ? { ...headers, ...bearer(token) } : headers;
}

// The access token, a new one when it is about to expire or is the one that was refused; nothing when signed out.
function validToken(refused) {
  const { session } = state;
  const isOver = session && (session.renewAt < Date.now() || bearer(session.accessToken).Authorization === refused);
  return isOver ? renew() : session?.accessToken;
}

// However many requests ask for it at once, a refresh token is used once.
function renew() {
  renewal ??= renewNow(state.session).finally(() => {
    renewal = null;
  });
  return renewal;
}

async function renewNow(session) {
  const { answer } = await mutate(RENEW, { refreshToken: session.refreshToken });
  if (state.session === session) {
    change(created(answer), answer.userErrors.length ? ENDED : '');
    copies.postMessage({ used: session.refreshToken, session: state.session });
  }
  return state.session?.accessToken;
}

function created({ accessToken, refreshToken, user }) {
  return accessToken && { accessToken, refreshToken, user, renewAt: Date.now() + lifetime(accessToken) };
}

// Milliseconds, by the server's clock alone: that of this machine may be wrong.
function lifetime(accessToken) {
  const [, claims] = accessToken.split('.');
  const { iat, exp } = JSON.parse(atob(claims.replaceAll('-', '+').replaceAll('_', '/')));
  return (exp - iat) * 1000 - EARLY_MILLISECONDS;
}

function isRefused({ errors }) {
  return errors?.some((error) => error.extensions?.code === 'UNAUTHENTICATED');
}

function change(session, problem = '') {
  state = { session, problem };
  if (session) {
    sessionStorage.setItem(PLACE, JSON.stringify(session));
  } else {
    sessionStorage.removeItem(PLACE);
  }
  listeners.forEach((listener) => listener());
}
