'use strict';

// Tests of functions without side effects: platforms, archives, proxies, paths, log output. The code for
// Windows is tested on every system.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const zlib = require('node:zlib');
const { extract } = require('./archive.js');
const { userFolder } = require('./dockerconfig.js');
const { firstLine, run, which } = require('./exec.js');
const { platform } = require('./platform.js');
const { proxyFor } = require('./proxy.js');
const { checksum, source } = require('./release.js');
const { escape, exportVariable, sanitize } = require('./runner.js');
const { here, release, scratch } = require('./testdata/harness.js');

test('platform: names in a release', () => {
  for (const [system, arch, name, format, binary] of [
    ['linux', 'x64', 'linux_amd64', 'tar.gz', 'docker-credential-ecr-oidc'],
    ['linux', 'arm64', 'linux_arm64', 'tar.gz', 'docker-credential-ecr-oidc'],
    ['darwin', 'x64', 'darwin_amd64', 'tar.gz', 'docker-credential-ecr-oidc'],
    ['darwin', 'arm64', 'darwin_arm64', 'tar.gz', 'docker-credential-ecr-oidc'],
    ['win32', 'x64', 'windows_amd64', 'zip', 'docker-credential-ecr-oidc.exe'],
    ['win32', 'arm64', 'windows_arm64', 'zip', 'docker-credential-ecr-oidc.exe'],
  ]) {
    assert.deepStrictEqual(platform(system, arch), { name, format, binary, cache: arch });
  }
  for (const [system, arch] of [
    ['freebsd', 'x64'],
    ['linux', 'arm'],
    ['linux', 'ia32'],
    ['win32', 'ia32'],
  ]) {
    assert.throws(() => platform(system, arch), {
      message: new RegExp(`^there is no release for ${system} on ${arch}; releases exist for`),
    });
  }
});

test('archive: the binary from an archive of goreleaser', () => {
  const { binary, tar, zip } = release();
  assert.ok(extract(tar, 'tar.gz', 'docker-credential-ecr-oidc').equals(binary));
  assert.ok(extract(zip, 'zip', 'docker-credential-ecr-oidc.exe').equals(binary));
  assert.throws(() => extract(zip, 'zip', 'docker-credential-ecr-oidc'), {
    message: 'the archive has no file docker-credential-ecr-oidc at its root',
  });
});

// tarOf creates an archive of entries with any names and types.
function tarOf(...entries) {
  const parts = entries.map(({ name, type = '0', content = 'x', prefix = '' }) => {
    const header = Buffer.alloc(512);
    header.write(name, 0);
    header.write('0000755', 100);
    header.write(content.length.toString(8).padStart(11, '0'), 124);
    header.write(type, 156);
    header.write('ustar\u000000', 257);
    header.write(prefix, 345);
    const body = Buffer.alloc(Math.ceil(content.length / 512) * 512);
    body.write(content);
    return Buffer.concat([header, body]);
  });
  return zlib.gzipSync(Buffer.concat([...parts, Buffer.alloc(1024)]));
}

test('archive: only a regular file with the exact name', () => {
  const name = 'docker-credential-ecr-oidc';
  assert.strictEqual(
    extract(
      tarOf({ name: `../${name}`, content: 'evil' }, { name, content: 'good' }),
      'tar.gz',
      name,
    ).toString(),
    'good',
  );
  for (const entry of [
    { name: `../${name}` },
    { name: `/${name}` },
    { name: `./${name}` },
    { name: `x/${name}` },
    { name, prefix: '..' },
    { name, type: '2' },
    { name, type: '1' },
    { name, type: '5' },
  ]) {
    assert.throws(
      () => extract(tarOf(entry), 'tar.gz', name),
      { message: /has no file/ },
      JSON.stringify(entry),
    );
  }
});

test('archive: damaged archives are an error', () => {
  const { tar, zip } = release();
  const name = 'docker-credential-ecr-oidc';
  const badSize = zlib.gunzipSync(tarOf({ name }));
  badSize.write('99999999999', 124);
  for (const [archive, format] of [
    [Buffer.from('<html>'), 'tar.gz'],
    [Buffer.alloc(0), 'tar.gz'],
    [tar.subarray(0, tar.length >> 1), 'tar.gz'],
    [zlib.gzipSync(badSize), 'tar.gz'],
    [Buffer.from('<html>'), 'zip'],
    [Buffer.alloc(0), 'zip'],
    [zip.subarray(0, zip.length >> 1), 'zip'],
    [Buffer.concat([zip.subarray(zip.length >> 1)]), 'zip'],
  ]) {
    assert.throws(() => extract(archive, format, format === 'zip' ? `${name}.exe` : name), {
      message: /^the archive (is damaged: |has no file )/,
    });
  }
});

test('checksum: lines in the format of sha256sum', () => {
  const sum = 'AB'.repeat(32);
  const other = '01'.repeat(32);
  const text = `${other}  a.tar.gz.sbom\n${sum}  a.tar.gz\r\n${other} *b.zip\nnonsense\n`;
  assert.strictEqual(checksum(text, 'a.tar.gz'), sum.toLowerCase());
  assert.strictEqual(checksum(text, 'b.zip'), other);
  assert.strictEqual(checksum(text, 'tar.gz'), '');
  assert.strictEqual(checksum(text, ''), '');
});

test('mirror: https, or http on loopback', () => {
  for (const [mirror, want] of [
    ['', 'https://github.com/ecr-oidc/docker-credential-ecr-oidc/releases/download'],
    [' https://mirror.corp/a/ ', 'https://mirror.corp/a'],
    ['http://localhost:8080', 'http://localhost:8080'],
    ['http://127.1.2.3/x//', 'http://127.1.2.3/x'],
    ['http://jane:x@[::1]:8080', 'http://jane:x@[::1]:8080'],
  ]) {
    assert.strictEqual(source({ ECR_OIDC_MIRROR: mirror }), want);
  }
  for (const mirror of [
    'http://mirror.corp//',
    'http://127.0.0.1.mirror.corp',
    'http://localhost.mirror.corp',
    'http://mirror.localhost',
    'http://128.0.0.1',
    'http://[::2]',
    'http://127.0.0.1@mirror.corp',
    'http://mirror.corp#@127.0.0.1',
    'http://mirror.corp?@localhost',
  ]) {
    assert.throws(
      () => source({ ECR_OIDC_MIRROR: mirror }),
      { message: 'ECR_OIDC_MIRROR begins with http:; it must be https://' },
      mirror,
    );
  }
});

test('proxy: HTTPS_PROXY and NO_PROXY', () => {
  const proxy = 'http://proxy.corp:3128';
  for (const [url, env, want] of [
    ['https://github.com/x', {}, undefined],
    ['https://github.com/x', { HTTPS_PROXY: proxy }, 'http://proxy.corp:3128/'],
    ['https://github.com/x', { https_proxy: 'https://a.corp', HTTPS_PROXY: proxy }, 'https://a.corp/'],
    ['https://github.com/x', { HTTPS_PROXY: 'proxy.corp:3128' }, 'http://proxy.corp:3128/'],
    ['https://github.com/x', { ALL_PROXY: proxy }, 'http://proxy.corp:3128/'],
    ['https://github.com/x', { HTTPS_PROXY: proxy, NO_PROXY: 'corp, github.com' }, undefined],
    ['https://api.github.com/x', { HTTPS_PROXY: proxy, no_proxy: '.github.com' }, undefined],
    ['https://api.github.com/x', { HTTPS_PROXY: proxy, NO_PROXY: 'github.com' }, undefined],
    ['https://api.github.com/x', { HTTPS_PROXY: proxy, NO_PROXY: '*.github.com' }, undefined],
    ['https://notgithub.com/x', { HTTPS_PROXY: proxy, NO_PROXY: 'github.com' }, 'http://proxy.corp:3128/'],
    ['https://github.com/x', { HTTPS_PROXY: proxy, NO_PROXY: 'github.com:8443' }, 'http://proxy.corp:3128/'],
    ['https://github.com:8443/x', { HTTPS_PROXY: proxy, NO_PROXY: 'github.com:8443' }, undefined],
    ['https://github.com/x', { HTTPS_PROXY: proxy, NO_PROXY: '*' }, undefined],
    ['https://127.0.0.1/x', { HTTPS_PROXY: proxy }, undefined],
    ['http://localhost/x', { HTTPS_PROXY: proxy, HTTP_PROXY: proxy }, undefined],
  ]) {
    const got = proxyFor(new URL(url), env);
    assert.strictEqual(got && got.href, want, `${url} ${JSON.stringify(env)}`);
  }
  assert.throws(() => proxyFor(new URL('https://a.b'), { HTTPS_PROXY: 'http://u:secret@[' }), {
    message: 'HTTPS_PROXY is not a URL',
  });
  assert.throws(() => proxyFor(new URL('https://a.b'), { HTTPS_PROXY: 'socks5://u:secret@p' }), {
    message: /^HTTPS_PROXY is a socks5:\/\/ proxy;/,
  });
});

test('which: only absolute directories of PATH', () => {
  const dir = fs.mkdtempSync(path.join(scratch, 'which-'));
  const file = path.join(dir, here.format === 'zip' ? 'gh.exe' : 'gh');
  fs.writeFileSync(file, '', { mode: 0o755 });
  fs.mkdirSync(path.join(dir, 'sub', path.basename(file)), { recursive: true }); // a directory is not a program
  const before = process.cwd();
  process.chdir(dir);
  try {
    assert.strictEqual(
      which('gh', { PATH: ['', '.', path.join(dir, 'sub'), dir].join(path.delimiter) }),
      file,
    );
    assert.strictEqual(which('gh', { PATH: ['', '.', path.join(dir, 'sub')].join(path.delimiter) }), '');
    assert.strictEqual(which('gh', {}), '');
  } finally {
    process.chdir(before);
  }
  if (here.format !== 'zip') {
    fs.chmodSync(file, 0o644);
    assert.strictEqual(which('gh', { PATH: dir }), '');
    assert.strictEqual(which('gh', { PATH: `.;${dir}` }, 'win32'), ''); // not an absolute path on Windows
  }
});

test('userFolder: HOME, USERPROFILE, user database', () => {
  assert.strictEqual(
    userFolder({ HOME: '/home/jane', USERPROFILE: 'C:\\x' }, 'linux'),
    path.join('/home/jane', '.docker'),
  );
  assert.strictEqual(
    userFolder({ HOME: '/home/jane', USERPROFILE: 'C:\\Users\\jane' }, 'win32'),
    path.join('C:\\Users\\jane', '.docker'),
  );
  assert.match(userFolder({}), /.\.docker$/);
  assert.match(userFolder({ HOME: '' }, 'linux'), /.\.docker$/);
});

test('sanitize: external text contains no workflow command', () => {
  assert.strictEqual(escape('100%\r\na:b,c'), '100%25%0D%0Aa:b,c');
  for (const [text, want] of [
    ['arn:aws:iam::123456789012:role/ci', 'arn:aws:iam::123456789012:role/ci'],
    ['::set-output name=a::b', ': :set-output name=a::b'],
    ['ok\r\n \t::add-mask::x\rz', 'ok\n: :add-mask::x\nz'],
    ['a ##[error]b', 'a # #[error]b'],
    ['a\u001b[31mred\u0007\u202eb\tc', 'a [31mred  b\tc'],
    ['\u0085::error::x', ': :error::x'],
  ]) {
    assert.strictEqual(sanitize(text), want);
  }
});

test('exportVariable: a value cannot contain its delimiter', () => {
  const file = path.join(fs.mkdtempSync(path.join(scratch, 'env-')), 'env');
  process.env.GITHUB_ENV = file;
  exportVariable('A', 'x\nEOF\nEVIL=1');
  exportVariable('A', 'y');
  const [, first, second] = /^A<<(\S+)\nx\nEOF\nEVIL=1\n\1\nA<<(\S+)\ny\n\2\n$/.exec(
    fs.readFileSync(file, 'utf8'),
  );
  assert.notStrictEqual(first, second);
  assert.match(first, /[0-9a-f-]{36}$/);
  delete process.env.GITHUB_ENV;
  assert.throws(() => exportVariable('A', 'x'), { message: /^GITHUB_ENV is not set: / });
});

test('run: a program is killed after its timeout, and its output is returned', () => {
  const start = Date.now();
  const ran = run(
    process.execPath,
    ['-e', 'process.on("SIGTERM", () => {}); console.log("so far"); setInterval(() => {}, 1000)'],
    { timeout: 1500 },
  );
  assert.ok(Date.now() - start < 20_000);
  assert.strictEqual(ran.stdout, 'so far\n');
  assert.strictEqual(firstLine(ran), 'no result within 1.5 s');
  // The program's environment has no inputs.
  const env = { ...process.env, 'INPUT_GITHUB-TOKEN': 'x', input_version: 'x', ECR_OIDC_ROLE: 'ci' };
  assert.strictEqual(
    run(
      process.execPath,
      ['-p', 'Object.keys(process.env).filter((name) => /^(input_|ecr_oidc_role$)/i.test(name)).join()'],
      { env },
    ).stdout,
    'ECR_OIDC_ROLE\n',
  );
  assert.strictEqual(
    run(process.execPath, ['-e', 'process.stdin.on("end", () => console.log("empty")).resume()']).stdout,
    'empty\n',
  );
});

test('firstLine: the error message of a program', () => {
  for (const [result, want] of [
    [
      { code: 1, stderr: 'ecr-oidc: "x" is not a registry\n\nUsage:\n', stdout: 'out' },
      '"x" is not a registry',
    ],
    [
      { code: 1, stderr: 'WARNING: old\r\nError: no such identity\nerror during it\n', stdout: '' },
      'Error: no such identity',
    ],
    [{ code: 1, stderr: ' \n', stdout: 'on stdout\n' }, 'on stdout'],
    [{ code: 7, stderr: '', stdout: '' }, 'exit status 7'],
    [{ code: 1, stderr: 'x'.repeat(1000), stdout: '' }, 'x'.repeat(600)],
  ]) {
    assert.strictEqual(firstLine(result), want);
  }
  assert.match(firstLine(run('/no/such/program', [])), /ENOENT/);
});
