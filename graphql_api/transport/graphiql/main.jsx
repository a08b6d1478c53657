import './workers.js';
import '@graphiql/react/style.css';
import '@graphiql/plugin-doc-explorer/style.css';
import '@graphiql/plugin-history/style.css';
import 'graphiql/graphiql.css';
import './page.css';

import { GraphiQL } from 'graphiql';
import { createRoot } from 'react-dom/client';

import { SessionBar } from './SessionBar.jsx';
import { SystemTheme } from './SystemTheme.jsx';
import { fetcher } from './fetcher.js';

const examples = import.meta.glob('./examples/*.graphql', { query: '?raw', import: 'default', eager: true });
const tabs = Object.keys(examples)
  .sort()
  .map((file) => ({ query: examples[file] }));

createRoot(document.getElementById('graphiql')).render(
  <>
    <SessionBar />
    <GraphiQL fetcher={fetcher} defaultTabs={tabs} isHeadersEditorEnabled inputValueDeprecation schemaDescription>
      <GraphiQL.Logo>
        Sales API
        <SystemTheme />
      </GraphiQL.Logo>
    </GraphiQL>
  </>,
);
