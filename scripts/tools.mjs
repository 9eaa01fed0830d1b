// Small things that the scripts share. Plain node, no dependencies.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** The browser for the page tests: CHROMIUM, the system's, or (undefined) the one that Playwright downloaded. */
export function chromiumPath() {
  if (process.env.CHROMIUM) return process.env.CHROMIUM;
  return existsSync('/usr/bin/chromium') ? '/usr/bin/chromium' : undefined;
}

/** Runs a command with its output on the terminal. Returns its exit code. */
export function run(command, args, options = {}) {
  console.log(`\n> ${[command, ...args].join(' ')}`);
  const { status, error } = spawnSync(command, args, { stdio: 'inherit', ...options });
  if (error) console.error(`${command} could not be started: ${error.message}`);
  return status ?? 1;
}

/** Runs a command and ends this script if it fails. */
export function must(command, args, options) {
  const code = run(command, args, options);
  if (code !== 0) process.exit(code);
}

/** Configures and builds one CMake preset. */
export function cmakeBuild(preset, targets = []) {
  const configured = run('cmake', ['--preset', preset]);
  if (configured !== 0) return configured;
  return run('cmake', ['--build', '--preset', preset, ...(targets.length ? ['--target', ...targets] : [])]);
}
