// Small things that the scripts share. Plain node, no dependencies.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';

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

/** What a command prints, or '' if it fails. */
export function output(command, args) {
  const { status, stdout } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 64 * 2 ** 20 });
  return status === 0 ? stdout : '';
}

/** Configures and builds a CMake preset, all of it or some targets. Returns an exit code. */
export function cmakeBuild(preset, targets = []) {
  const configured = run('cmake', ['--preset', preset]);
  if (configured !== 0) return configured;
  const only = targets.length > 0 ? ['--target', ...targets] : [];
  return run('cmake', ['--build', '--preset', preset, '--parallel', String(availableParallelism()), ...only]);
}

/** Builds one CMake preset after the other and ends this script if one fails. */
export function mustBuild(...presets) {
  for (const preset of presets) {
    const code = cmakeBuild(preset);
    if (code !== 0) process.exit(code);
  }
}
