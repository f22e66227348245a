import importX from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

/** What each part may import besides itself. An edge that is not here does not exist. */
const allowed = {
  common: [],
  operator: ['common'],
  signaling: ['common'],
  'media-node': ['common'],
  client: ['common'],
  web: ['common', 'client'],
};

/** Packages that belong to some folders alone. */
const ownedPackages = {
  mediasoup: ['media-node'],
  '@kubernetes/client-node': ['common/kubernetes'],
  undici: ['common/kubernetes'],
};

const parts = Object.keys(allowed);
/** Those of a folder inside a part take the place of the part's own. */
const folders = [...new Set([...parts, ...Object.values(ownedPackages).flat()])];

const zones = parts.flatMap((part) =>
  [...parts, 'bench', 'chaos', 'demo', 'e2e', 'testing', 'scripts']
    .filter((other) => other !== part && !allowed[part].includes(other))
    .map((other) => ({
      target: `./${part}/!(*.test.ts|**/*.test.ts)`,
      from: `./${other}`,
      message: `${part}/ may not import ${other}/`,
    })),
);

/** The part of common/ that belongs to some parts alone; through the rest of common/ it would reach the others. */
const kubernetesZones = ['media-node', 'client', 'web', 'common/!(kubernetes)'].map((folder) => ({
  target: `./${folder}/**/!(*.test.ts)`,
  from: './common/kubernetes',
  message: 'only operator/ and signaling/ know of Kubernetes',
}));

const packageRules = folders.map((folder) => ({
  files: [`${folder}/**/*.{ts,tsx}`],
  // Tests may use what they test.
  ignores: ['**/*.test.ts'],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: Object.entries(ownedPackages)
          .filter(([, owners]) => !owners.includes(folder))
          .map(([name, owners]) => ({
            group: [name, `${name}/*`],
            message: `${name} is for ${owners.join(', ')} alone`,
          })),
      },
    ],
  },
}));

export default tseslint.config(
  { ignores: ['node_modules/', 'web/dist/', 'client/dist/', '.run/', 'coverage/'] },
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
    files: ['client/build.ts', 'demo/**/*.ts', 'chaos/**/*.ts', 'bench/**/*.ts', 'scripts/**/*.ts'],
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
