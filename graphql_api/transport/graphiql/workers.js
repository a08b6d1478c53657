import EditorWorker from 'monaco-editor/esm/vs/editor/editor.worker.js?worker';
import JsonWorker from 'monaco-editor/esm/vs/language/json/json.worker.js?worker';
import GraphQLWorker from 'monaco-graphql/esm/graphql.worker.js?worker';

const workers = { graphql: GraphQLWorker, json: JsonWorker };

// Monaco asks for workers by label; each is a file of our own origin, as the page's security policy demands.
globalThis.MonacoEnvironment = {
  getWorker(_id, label) {
    return new (workers[label] ?? EditorWorker)();
  },
};
