import importX from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

/** What each part may import besides itself. An edge that is not here does not exist. */
const allowed = {
  common: [],
  operator: ['common'],
  signaling: ['common'],
  'media-node': ['common'],
  web: ['common'],
};

/** Packages that belong to some parts alone. */
const ownedPackages = {
  mediasoup: ['media-node'],
  '@kubernetes/client-node': ['common'],
};

const parts = Object.keys(allowed);

const zones = parts.flatMap((part) =>
  [...parts, 'bench', 'demo', 'e2e', 'testing', 'scripts']
    .filter((other) => other !== part && !allowed[part].includes(other))
    .map((other) => ({
      target: `./${part}/!(*.test.ts|**/*.test.ts)`,
      from: `./${other}`,
      message: `${part}/ may not import ${other}/`,
    })),
);

/** The part of common/ that belongs to some parts alone. */
const kubernetesZones = ['media-node', 'web'].map((part) => ({
  target: `./${part}/**`,
  from: './common/kubernetes',
  message: `${part}/ knows nothing of Kubernetes`,
}));

const packageRules = parts.map((part) => ({
  files: [`${part}/**/*.{ts,tsx}`],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: Object.entries(ownedPackages)
          .filter(([, owners]) => !owners.includes(part))
          .map(([name]) => ({
            group: [name, `${name}/*`],
            message: `${name} is not for ${part}/`,
          })),
      },
    ],
  },
}));

export default tseslint.config(
  { ignores: ['node_modules/', 'web/dist/', '.run/', 'coverage/'] },
  {
    files: ['**/*.{ts,tsx}'],
    extends: [tseslint.configs.strictTypeChecked],
    plugins: { 'import-x': importX },
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      'import-x/no-restricted-paths': ['error', { zones: [...zones, ...kubernetesZones] }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      complexity: ['error', 12],
      'max-lines': ['error', { max: 400, skipBlankLines: true, skipComments: true }],
      'max-params': ['error', 4],
      eqeqeq: 'error',
      'no-console': 'error',
    },
  },
  ...packageRules,
  {
    // What talks to the person at the terminal.
    files: ['demo/**/*.ts', 'bench/**/*.ts', 'scripts/**/*.ts'],
    rules: { 'no-console': 'off' },
  },
  {
    files: ['**/*.test.ts', 'testing/**/*.ts', 'e2e/**/*.ts'],
    rules: {
      'max-lines': 'off',
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
);
