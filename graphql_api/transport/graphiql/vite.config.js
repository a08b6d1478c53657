import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { constants, gzipSync } from 'node:zlib';

const compressible = /\.(css|js)$/;

// The server sends these as they are, so nobody waits for 3 MB to be compressed again and again.
function compressAssets() {
  return {
    name: 'compress-assets',
    writeBundle({ dir }) {
      const folder = join(dir, 'assets');
      for (const name of readdirSync(folder).filter((file) => compressible.test(file))) {
        const content = readFileSync(join(folder, name));
        writeFileSync(join(folder, `${name}.gz`), gzipSync(content, { level: constants.Z_BEST_COMPRESSION }));
      }
    },
  };
}

// "use client" and the like are for servers that render React and for its compiler; here they are only noise.
function ignoreDirectives(warning, warn) {
  if (warning.code !== 'MODULE_LEVEL_DIRECTIVE') {
    warn(warning);
  }
}

export default {
  base: '/graphql/',
  build: {
    target: 'es2022',
    chunkSizeWarningLimit: 4096,
    license: { fileName: 'licenses.md' },
    rolldownOptions: { onwarn: ignoreDirectives },
  },
  plugins: [compressAssets()],
};
