import { useGraphiQL, useGraphiQLActions } from '@graphiql/react';
import { useEffect } from 'react';

// GraphiQL asks the system for its colours only once, and its editors stay light in a page that turns dark.
export function SystemTheme() {
  const { setTheme } = useGraphiQLActions();
  const chosen = useGraphiQL((state) => state.theme);

  useEffect(() => {
    if (chosen) {
      return undefined;
    }
    const system = matchMedia('(prefers-color-scheme: dark)');
    const follow = () => setTheme(null);
    system.addEventListener('change', follow);
    return () => system.removeEventListener('change', follow);
  }, [chosen, setTheme]);
  return null;
}
