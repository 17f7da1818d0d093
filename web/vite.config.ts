import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import { defineConfig, type Plugin } from 'vite'

/** Beside each text file of the build the same by gzip: the server hands out what the browser takes. */
function packed(): Plugin {
  return {
    name: 'packed',
    apply: 'build',
    writeBundle(options, bundle) {
      for (const name of Object.keys(bundle)) {
        const path = join(options.dir ?? '.', name)
        writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }))
      }
    },
  }
}

export default defineConfig({
  plugins: [packed()],
  // The document is at `/`, and all else below `/page/`; a proxy may have both below a path of its own.
  experimental: {
    renderBuiltUrl: (name, { hostType }) => (hostType === 'html' ? `page/${name}` : { relative: true }),
  },
  build: {
    outDir: '../src/belljar/page',
    emptyOutDir: true,
    assetsInlineLimit: 0,
    target: 'es2024',
    license: { fileName: 'licenses.md' },
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 700,
    rolldownOptions: {
      // The editor comes after the rest of the page has been painted.
      output: { entryFileNames: 'assets/[name]-[hash].js', chunkFileNames: 'assets/[name]-[hash].js' },
    },
  },
  // For work on the page itself: `npm run dev`, beside a server.
  server: { proxy: { '/v1': 'http://127.0.0.1:8421', '/health': 'http://127.0.0.1:8421' } },
})
