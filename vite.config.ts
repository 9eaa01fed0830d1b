import { defineConfig } from 'vite';
import { VitePWA } from 'vite-plugin-pwa';

// Makes the page cross-origin isolated, which threads need. Hosts that send no headers: web/sw/sw.ts.
const headers = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

export default defineConfig({
  base: './', // works in any folder of any host
  publicDir: 'web/public',
  build: { target: 'es2022' },
  worker: { format: 'es' },
  server: { headers },
  preview: { headers },
  plugins: [
    VitePWA({
      strategies: 'injectManifest', // our own service worker; the plugin only puts the list of files into it
      srcDir: 'web/sw',
      filename: 'sw.ts',
      injectRegister: false, // web/app/isolation.ts registers it
      injectManifest: {
        globPatterns: ['**/*.{js,mjs,css,html,wasm,svg,png,gguf}'],
        maximumFileSizeToCacheInBytes: 64 * 1024 * 1024, // the embedded model is in the list, for its revision
      },
      manifest: {
        id: './',
        name: 'Strata',
        short_name: 'Strata',
        description: 'A language model in this tab. Old memory is compressed, never dropped.',
        start_url: './',
        scope: './',
        display: 'standalone',
        background_color: '#101318',
        theme_color: '#101318',
        icons: [
          { src: 'icons/icon-192.png', sizes: '192x192', type: 'image/png' },
          { src: 'icons/icon-512.png', sizes: '512x512', type: 'image/png' },
          { src: 'icons/icon-maskable-512.png', sizes: '512x512', type: 'image/png', purpose: 'maskable' },
        ],
      },
    }),
  ],
});
