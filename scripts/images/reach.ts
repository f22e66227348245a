import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import path from 'node:path';

import ts from 'typescript';

/** What modules load when they run. */
export interface Reached {
  /** Files of the tree, relative to it, sorted: modules, and the data that they open beside themselves. */
  files: string[];
  /** npm packages that the modules import, sorted. */
  packages: string[];
}

/** `@scope/name/file` and `name/file` are parts of packages. */
const packageOf = (specifier: string): string =>
  specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');

/** Only types go, as when Node runs the module. */
const compilerOptions: ts.CompilerOptions = {
  module: ts.ModuleKind.ESNext,
  target: ts.ScriptTarget.ESNext,
  verbatimModuleSyntax: true,
};

/**
 * The imports that are left when Node has taken the types away, those by `import('…')` included.
 *
 * @param source TypeScript that Node itself can run
 */
export function runtimeImports(source: string): string[] {
  const { outputText } = ts.transpileModule(source, { compilerOptions });
  return ts.preProcessFile(outputText, true, true).importedFiles.map(({ fileName }) => fileName);
}

const isModuleUrl = (node: ts.Node | undefined): boolean =>
  node !== undefined &&
  ts.isPropertyAccessExpression(node) &&
  ts.isMetaProperty(node.expression) &&
  node.name.text === 'url';

/** The constant beginning of an expression, and whether that is all of it. */
function textOf(node: ts.Node | undefined): { text: string; whole: boolean } | undefined {
  if (node && ts.isStringLiteralLike(node)) return { text: node.text, whole: true };
  if (node && ts.isTemplateExpression(node)) return { text: node.head.text, whole: false };
  return undefined;
}

/**
 * The files and folders that a module names by `new URL('…', import.meta.url)`, relative to its own folder. Where only the
 * beginning of the name is constant, it is the folder.
 */
export function dataFiles(source: string): string[] {
  const found: string[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isNewExpression(node) && node.expression.getText() === 'URL') {
      const [name, base] = node.arguments ?? [];
      const text = isModuleUrl(base) ? textOf(name) : undefined;
      if (text) found.push(text.whole ? text.text : path.dirname(`${text.text}.`));
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile('module.ts', source, ts.ScriptTarget.Latest, true));
  return found;
}

/** The files below a folder, or the file itself, relative to the tree. Tests are no part of a service. */
export function filesBelow(root: string, name: string): string[] {
  const full = path.join(root, name);
  if (!statSync(full).isDirectory()) return [name];
  return readdirSync(full, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !/\.test\.tsx?$/.test(entry.name))
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)));
}

/**
 * Follows what modules import and open, from the entry points on.
 *
 * @param root the tree's folder
 * @param entries modules, and folders or files of data, relative to it
 * @throws Error of the file system, for an import without a file
 */
export function reach(root: string, entries: readonly string[]): Reached {
  const files = new Set<string>();
  const packages = new Set<string>();
  const open = entries.flatMap((entry) => filesBelow(root, entry));
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    if (files.has(file)) continue;
    files.add(file);
    if (!file.endsWith('.ts')) continue;
    const source = readFileSync(path.join(root, file), 'utf8');
    const beside = (name: string): string => path.join(path.dirname(file), name);
    for (const specifier of runtimeImports(source)) {
      if (specifier.startsWith('.')) open.push(beside(specifier));
      else if (!isBuiltin(specifier)) packages.add(packageOf(specifier));
    }
    // Some are made for the image alone.
    for (const name of dataFiles(source).map(beside))
      if (existsSync(path.join(root, name))) open.push(...filesBelow(root, name));
  }
  return { files: [...files].sort(), packages: [...packages].sort() };
}
