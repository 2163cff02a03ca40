import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['__test__/**/*.test.ts'],
    testTimeout: 120_000,
    // Inlining the package would give tests a second copy of its classes. What documents show is run by Node itself.
    server: { deps: { external: [/\/dist\//, /\/build\/documents\//] } },
  },
});
