// Brings a machine to the point where Strata can be built: packages of the system where it may install them, else the
// line that does, and the npm packages of the lock file.
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { must, output } from './tools.mjs';

// Debian package: what it is for. Each purpose includes those before it.
const purposes = {
  start: ['emscripten', 'cmake', 'ninja-build'],
  build: ['g++', 'libcli11-dev', 'libssl-dev', 'nlohmann-json3-dev'],
  test: [
    'ccache',
    'chromium',
    'clang',
    'clang-format-14',
    'firefox-esr',
    'g++-aarch64-linux-gnu',
    'libclang-rt-14-dev',
    'libfuzzer-14-dev',
    'libgtest-dev',
    'qemu-user',
  ],
};

/** @param {'start' | 'build' | 'test'} purpose */
export function setUp(purpose) {
  const order = Object.keys(purposes);
  const packages = order.slice(0, order.indexOf(purpose) + 1).flatMap((name) => purposes[name]);
  if (existsSync('/etc/debian_version')) installDebian(packages);
  else checkElsewhere(purpose);
  installNpm();
}

function installDebian(packages) {
  const installed = (name) => output('dpkg', ['-s', name]).includes('install ok installed');
  const missing = packages.filter((name) => !installed(name));
  if (missing.length === 0) return;
  const install = ['install', '--yes', '--no-install-recommends', ...missing];
  if (process.getuid() !== 0) {
    console.error(
      `Some packages are missing. Install them, then run this again:\n\n  sudo apt-get ${install.join(' ')}\n`,
    );
    process.exit(1);
  }
  must('apt-get', ['update']);
  must('apt-get', install, { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } });
}

// Untested: the emsdk, and every system but Debian 12.
function checkElsewhere(purpose) {
  const tools = [...(purpose === 'start' ? [] : ['c++']), 'cmake', 'ninja'];
  const missing = tools.filter((tool) => !output(tool, ['--version']));
  const advice = [];
  if (missing.length > 0) {
    const mac = process.platform === 'darwin';
    const libraries =
      purpose === 'start'
        ? ''
        : mac
          ? ' cli11 nlohmann-json openssl googletest'
          : ' and the headers of CLI11, nlohmann-json, OpenSSL, GoogleTest';
    advice.push(
      mac
        ? `brew install cmake ninja${libraries}; xcode-select --install`
        : `Install ${missing.join(', ')}${libraries}.`,
    );
  }
  if (!process.env.EMSDK) {
    advice.push(
      'git clone https://github.com/emscripten-core/emsdk && cd emsdk && ./emsdk install latest && ./emsdk activate latest',
      'source ./emsdk_env.sh    (sets EMSDK; in every new terminal)',
    );
  }
  if (purpose === 'test' && !process.env.CHROMIUM)
    console.log('Page tests: set CHROMIUM, or run: npx playwright install chromium');
  if (advice.length === 0) return;
  console.error(`Some tools are missing. Then run this again:\n\n  ${advice.join('\n  ')}\n`);
  process.exit(1);
}

// The hash of the lock file is kept beside the packages, so that a changed lock file is noticed whatever the clocks say.
function installNpm() {
  const lock = createHash('sha256').update(readFileSync('package-lock.json')).digest('hex');
  const stamp = 'node_modules/.installed-lock';
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  must('npm', ['ci', '--no-audit', '--no-fund']);
  writeFileSync(stamp, lock);
}
