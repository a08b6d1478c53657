import { useEffect, useRef, useState, useSyncExternalStore } from 'react';

import { current, signIn, signOut, subscribe } from './session.js';

// Above GraphiQL: who is signed in, or the way in.
export function SessionBar() {
  const { session, problem } = useSyncExternalStore(subscribe, current);
  const bar = useRef(null);
  const shown = useRef(session);

  // What had the focus has gone with the form or the button.
  useEffect(() => {
    if (shown.current !== session && document.activeElement === document.body) {
      bar.current.querySelector('input, button').focus();
    }
    shown.current = session;
  }, [session]);

  return (
    <section ref={bar} className="session-bar" aria-label="Sign-in">
      {session ? <button onClick={signOut}>Sign out</button> : <SignInForm />}
      <p role="status">{session ? describe(session.user) : problem || 'Not signed in: only the schema can be seen.'}</p>
    </section>
  );
}

function SignInForm() {
  const [isBusy, setBusy] = useState(false);

  async function submit(event) {
    event.preventDefault();
    const form = event.currentTarget;
    const { email, password } = Object.fromEntries(new FormData(form));
    setBusy(true);
    await signIn(email, password);
    setBusy(false);
    // Whoever mistyped it types it again; after a success the form is gone.
    form.elements.password.select();
  }

  return (
    <form onSubmit={submit}>
      <label>
        E-mail <input name="email" type="email" autoComplete="username" required />
      </label>
      <label>
        Password <input name="password" type="password" autoComplete="current-password" required />
      </label>
      <button disabled={isBusy}>Sign in</button>
    </form>
  );
}

function describe({ name, email, role }) {
  return `Signed in as ${name} (${email}), ${role}`;
}
