// Checks of the source that run nothing: types, lint and format, floors.
import { existsSync } from 'node:fs';
import { output, run } from './tools.mjs';

const cppFiles = () =>
  output('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.h', '*.cpp'])
    .split('\n')
    .filter((file) => file && existsSync(file));

const checks = [
  ['types of the page', () => run('npx', ['tsc', '-p', 'tsconfig.json'])],
  ['types of the workers', () => run('npx', ['tsc', '-p', 'tsconfig.worker.json'])],
  ['types of the tests', () => run('npx', ['tsc', '-p', 'tsconfig.node.json'])],
  ['lint and format (Biome)', () => run('npx', ['biome', 'ci', '--error-on-warnings', '.'])],
  ['floors', () => run('node', ['tests/tools/check_floors.mjs'])],
  ['format of C++ (clang-format 14)', () => run('clang-format-14', ['--dry-run', '--Werror', ...cppFiles()])],
];

/** Runs all of them, and names those that fail. */
export function runChecks() {
  const failed = checks.filter(([, check]) => check() !== 0).map(([name]) => name);
  for (const name of failed) console.error(`FAILED: ${name}`);
  return { passed: checks.length - failed.length, failed: failed.length, skipped: 0 };
}
