interface LockedPackage {
  version?: string;
  resolved?: string;
  dev?: boolean | undefined;
  license?: string | undefined;
  optionalDependencies?: Record<string, string>;
}

/** The parts of npm's lock file that matter here. */
export interface Lock {
  packages: Record<string, LockedPackage>;
}

const systems = 'aix android darwin freebsd linux openharmony win32'.split(' ');
const processors = 'arm arm64 ia32 loong64 mips64el ppc64 riscv64 s390x wasm32 x64'.split(' ');

/** The key of the package `name` as `from` would find it: in its own `node_modules`, else further out. */
function lockedKey({ packages }: Lock, from: string, name: string): string | undefined {
  for (let at = from; ; at = at.slice(0, Math.max(at.lastIndexOf('node_modules/') - 1, 0))) {
    const key = `${at === '' ? '' : `${at}/`}node_modules/${name}`;
    if (key in packages) return key;
    if (at === '') return undefined;
  }
}

/** The platform that a package is for, going by the end of its name, e.g. `linux-arm64-musl` or `win32-x64-msvc`. */
function platformOf(name: string): { os: string[]; cpu: string[]; libc?: string[] } {
  const words = name.split(/[-/]/);
  const os = words.filter((word) => systems.includes(word));
  const cpu = words.filter((word) => processors.includes(word));
  if (os.length !== 1 || cpu.length !== 1) throw new Error(`for which platform is ${name}?`);
  const libc = /-musl\w*$/.test(name) ? 'musl' : 'glibc';
  return os[0] === 'linux' ? { os, cpu, libc: [libc] } : { os, cpu };
}

/** The optional packages that others name and that the lock file has no entry for. */
export function missingPlatforms(lock: Lock): { name: string; parent: string }[] {
  return Object.entries(lock.packages).flatMap(([parent, { optionalDependencies = {} }]) =>
    Object.keys(optionalDependencies)
      .filter((name) => lockedKey(lock, parent, name) === undefined)
      .map((name) => ({ name, parent })),
  );
}

/** Adds entries for the missing packages, in npm's order, and returns their names. They have to be named with an exact version. */
export function addMissingPlatforms(lock: Lock): string[] {
  const missing = missingPlatforms(lock);
  for (const { name, parent } of missing) {
    const { dev, license, optionalDependencies } = lock.packages[parent] ?? {};
    const version = optionalDependencies?.[name];
    if (!version || !/^\d/.test(version)) throw new Error(`${parent} names no version of ${name}`);
    const { os, cpu, libc } = platformOf(name);
    // In npm's order, so that its next run leaves the entry as it is.
    const entry = { version, cpu, dev, libc, license, optional: true, os };
    lock.packages[`node_modules/${name}`] = entry;
  }
  const sorted = Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, 'en'));
  lock.packages = Object.fromEntries(sorted);
  return missing.map(({ name }) => name);
}
