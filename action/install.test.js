'use strict';

// Tests of the download, its verification, and the tool cache.

const assert = require('node:assert');
const childProcess = require('node:child_process');
const fs = require('node:fs');
const http = require('node:http');
const https = require('node:https');
const path = require('node:path');
const test = require('node:test');
const {
  Job,
  archiveName,
  bad,
  checksums,
  good,
  here,
  mirror,
  release,
  scratch,
  secrets,
  serve,
  sha256,
  version,
} = require('./testdata/harness.js');

const registries = '123456789012.dkr.ecr.eu-west-2.amazonaws.com';
const folder = `/v${version}/`;
const skipOnWindows = here.format === 'zip' ? 'the test programs for gh and cosign are shell scripts' : false;

// cached returns the path of the binary in the tool cache.
const cached = (job) =>
  path.join(job.tools, 'docker-credential-ecr-oidc', version, process.arch, here.binary);

test('the pinned version is downloaded, checked, cached and put on PATH', async (t) => {
  const from = await mirror(t);
  const job = new Job(t, { ECR_OIDC_MIRROR: from.url });
  const { ran } = await job.main({ registries, version: `v${version}` });
  good(ran);
  assert.deepStrictEqual(from.asked, [`${folder}checksums.txt`, folder + archiveName]);
  assert.match(ran.output, /: checksum verified\n/);
  assert.match(ran.output, /: provenance not verified: neither gh with a token nor cosign is available\n/);
  assert.deepStrictEqual(job.paths.slice(0, -1), [path.dirname(cached(job))]);
  assert.ok(fs.readFileSync(cached(job)).equals(release().binary));
  assert.strictEqual(
    fs.readFileSync(path.dirname(cached(job)) + '.complete', 'utf8'),
    `${sha256(release().binary)} \n`,
  );
  assert.deepStrictEqual(fs.readdirSync(path.join(path.dirname(cached(job)), '..')).sort(), [
    process.arch,
    `${process.arch}.complete`,
  ]);
  assert.match((await job.helper('version')).output, /docker-credential-ecr-oidc/);

  // The second job on this runner downloads nothing.
  const second = new Job(t, { ECR_OIDC_MIRROR: from.url, RUNNER_TOOL_CACHE: job.tools });
  assert.match(
    good((await second.main({ registries })).ran).output,
    /: from the tool cache, .*; provenance when cached: not verified\n/,
  );
  assert.strictEqual(from.asked.length, 2);
  assert.deepStrictEqual(second.paths.slice(0, -1), [path.dirname(cached(job))]);

  // A binary that was changed in the tool cache is not used.
  fs.appendFileSync(cached(job), 'more');
  good(
    (await new Job(t, { ECR_OIDC_MIRROR: from.url, RUNNER_TOOL_CACHE: job.tools }).main({ registries })).ran,
  );
  assert.strictEqual(from.asked.length, 4);
  assert.ok(fs.readFileSync(cached(job)).equals(release().binary));
});

test('an incomplete version in the tool cache is replaced', async (t) => {
  const from = await mirror(t);
  const job = new Job(t, { ECR_OIDC_MIRROR: from.url });
  fs.mkdirSync(path.dirname(cached(job)), { recursive: true });
  fs.writeFileSync(cached(job), 'half');
  good((await job.main({ registries })).ran);
  assert.strictEqual(from.asked.length, 2);
  assert.ok(fs.readFileSync(cached(job)).equals(release().binary));
});

test('concurrent jobs get a complete binary', async (t) => {
  const from = await mirror(t);
  const tools = new Job(t).tools;
  const jobs = Array.from(
    { length: 6 },
    () => new Job(t, { ECR_OIDC_MIRROR: from.url, RUNNER_TOOL_CACHE: tools }),
  );
  for (const step of await Promise.all(jobs.map((job) => job.main({ registries })))) {
    good(step.ran);
    assert.strictEqual((await step.job.helper('version')).code, 0);
  }
  assert.deepStrictEqual(fs.readdirSync(path.join(tools, 'docker-credential-ecr-oidc', version)).sort(), [
    process.arch,
    `${process.arch}.complete`,
  ]);
});

test('without a writable tool cache, the binary is in RUNNER_TEMP', async (t) => {
  const from = await mirror(t);
  const blocked = new Job(t).write('blocked', 'no folder');
  for (const RUNNER_TOOL_CACHE of ['', blocked]) {
    const job = new Job(t, { ECR_OIDC_MIRROR: from.url, RUNNER_TOOL_CACHE });
    const { ran } = await job.main({ registries });
    good(ran);
    assert.strictEqual(path.dirname(job.paths[0]), job.temp);
    assert.strictEqual(
      /cannot add docker-credential-ecr-oidc to the tool cache: /.test(ran.output),
      RUNNER_TOOL_CACHE !== '',
    );
  }
});

test('checksum mismatch: an error with both checksums, and no files', async (t) => {
  const evil = Buffer.from('evil');
  const from = await mirror(t, { [folder + archiveName]: evil });
  const job = new Job(t, { ECR_OIDC_MIRROR: from.url });
  const { ran } = await job.main({ registries });
  bad(
    ran,
    new RegExp(
      `checksum mismatch: ${archiveName} has ${sha256(evil)}, checksums.txt lists ${sha256(release().archive)}; nothing was installed`,
    ),
  );
  assert.deepStrictEqual(
    [fs.readdirSync(job.tools), fs.readdirSync(job.temp), job.paths.length],
    [[], [], 1],
  );
});

test('an archive with path traversal and without the binary', async (t) => {
  const dir = fs.mkdtempSync(path.join(scratch, 'evil-'));
  // The release's archive with other file names.
  const names = release().archive === release().zip ? undefined : renamed(release().tar);
  if (!names) {
    t.skip('on Windows, the archive is a zip file, which parts.test.js tests');
    return;
  }
  const from = await mirror(t, {
    [`${folder}checksums.txt`]: checksums({ [archiveName]: names }),
    [folder + archiveName]: names,
  });
  const job = new Job(t, { ECR_OIDC_MIRROR: from.url });
  bad(
    (await job.main({ registries })).ran,
    /the archive has no file docker-credential-ecr-oidc at its root$/,
  );
  assert.deepStrictEqual(
    [fs.readdirSync(job.tools), fs.readdirSync(job.temp), fs.readdirSync(dir)],
    [[], [], []],
  );
  assert.ok(!fs.existsSync(path.join(job.dir, 'evil')));
});

// renamed replaces the file names in an archive with paths outside the target directory.
function renamed(tar) {
  const zlib = require('node:zlib');
  const plain = Buffer.from(zlib.gunzipSync(tar));
  for (
    let at = plain.indexOf('docker-credential-ecr-oidc\0');
    at >= 0;
    at = plain.indexOf('docker-credential-ecr-oidc\0', at + 1)
  ) {
    if (at % 512 === 0) {
      plain.fill(0, at, at + 100);
      plain.write('../../evil', at);
      plain.fill(' ', at + 148, at + 156);
      const sum = plain.subarray(at, at + 512).reduce((a, b) => a + b, 0);
      plain.write(sum.toString(8).padStart(6, '0') + '\0 ', at + 148);
    }
  }
  return zlib.gzipSync(plain);
}

for (const [name, files, message] of [
  [
    'no such version',
    { 'checksums.txt': 404 },
    /checksums\.txt: HTTP status 404: release 0\.1\.0 does not exist, or has no archive for /,
  ],
  [
    'not listed',
    { 'checksums.txt': checksums({}) },
    /release 0\.1\.0 has no archive for .*: checksums\.txt does not list docker-credential-ecr-oidc_0\.1\.0_/,
  ],
  [
    'archive missing',
    { [archiveName]: 404 },
    /HTTP status 404: release 0\.1\.0 does not exist, or has no archive for /,
  ],
  ['forbidden', { 'checksums.txt': 403 }, /checksums\.txt: HTTP status 403$/],
]) {
  test(`${name}: an error without a retry`, async (t) => {
    const from = await mirror(
      t,
      Object.fromEntries(Object.entries(files).map(([file, answer]) => [folder + file, answer])),
    );
    const job = new Job(t, { ECR_OIDC_MIRROR: from.url });
    const { ran } = await job.main({ registries });
    bad(ran, message);
    assert.ok(from.asked.length <= 2, from.asked.join());
  });
}

test('retryable errors: retries with backoff', async (t) => {
  const { archive } = release();
  const from = await mirror(t, {
    [`${folder}checksums.txt`]: (n) => (n === 1 ? 503 : checksums({ [archiveName]: archive })),
    [folder + archiveName]: (n, request) => {
      if (n === 1) {
        request.socket.destroy();
        return 500;
      }
      return n === 2 ? 429 : archive;
    },
  });
  const job = new Job(t, { ECR_OIDC_MIRROR: from.url });
  const { ran } = await job.main({ registries });
  good(ran);
  assert.match(ran.output, /checksums\.txt: HTTP status 503; retrying in \d\.\d s\n/);
  assert.match(ran.output, /: (socket hang up|read ECONNRESET); retrying in/);
  assert.match(ran.output, /: HTTP status 429; retrying in/);
});

test('persistent errors: four attempts', async (t) => {
  const from = await mirror(t, { [`${folder}checksums.txt`]: 500 });
  const job = new Job(t, { ECR_OIDC_MIRROR: from.url });
  bad((await job.main({ registries })).ran, /checksums\.txt: HTTP status 500$/);
  assert.strictEqual(from.asked.length, 4);
});

test('redirects: followed, with a limit', async (t) => {
  const { archive } = release();
  const from = await mirror(t, {
    [folder + archiveName]: (n) => ({ location: `/elsewhere?signature=${secrets.mirror}` }),
    [`/elsewhere?signature=${secrets.mirror}`]: archive,
  });
  good((await new Job(t, { ECR_OIDC_MIRROR: from.url }).main({ registries })).ran);

  from.files[folder + archiveName] = () => ({ location: 'http://mirror.test/x' });
  bad(
    (await new Job(t, { ECR_OIDC_MIRROR: from.url }).main({ registries })).ran,
    /: it redirects to http:\/\/mirror\.test\/x, which is not https$/,
  );

  from.files[folder + archiveName] = () => ({ location: folder + archiveName });
  bad((await new Job(t, { ECR_OIDC_MIRROR: from.url }).main({ registries })).ran, /HTTP status 302$/);
});

test('a mirror may have a path and a login; the login is not logged', async (t) => {
  const { archive } = release();
  let authorization;
  const from = await serve(t, {
    [`/a/b${folder}checksums.txt`]: (n, request) => {
      authorization = request.headers.authorization;
      return checksums({ [archiveName]: archive });
    },
  });
  const url = from.url.replace('//', `//jane:${secrets.mirror}@`) + '/a/b/';
  bad(
    (await new Job(t, { ECR_OIDC_MIRROR: url }).main({ registries })).ran,
    /http:\/\/127\.0\.0\.1:\d+\/a\/b\/v0\.1\.0\/docker-credential-ecr-oidc_.*: HTTP status 404/,
  );
  assert.strictEqual(authorization, 'Basic ' + Buffer.from(`jane:${secrets.mirror}`).toString('base64'));
  for (const [url, message] of [
    [`ftp://jane:${secrets.mirror}@mirror.test`, /ECR_OIDC_MIRROR begins with ftp:; it must be https:\/\/$/],
    [
      `http://jane:${secrets.mirror}@mirror.test`,
      /ECR_OIDC_MIRROR begins with http:; it must be https:\/\/$/,
    ],
    [`jane:${secrets.mirror}@mirror.test`, /ECR_OIDC_MIRROR begins with jane:; it must be https:\/\/$/],
    [`//mirror.test/${secrets.mirror}`, /ECR_OIDC_MIRROR is not a URL; it must begin with https:\/\/$/],
  ]) {
    bad((await new Job(t, { ECR_OIDC_MIRROR: url }).main({ registries })).ran, message);
  }
});

test('github.com through HTTPS_PROXY with NODE_EXTRA_CA_CERTS', async (t) => {
  const tls = certificate(t, 'github.com');
  if (!tls) {
    return;
  }
  const { archive } = release();
  const downloads = `/ecr-oidc/docker-credential-ecr-oidc/releases/download${folder}`;
  const files = {
    [`${downloads}checksums.txt`]: checksums({ [archiveName]: archive }),
    [downloads + archiveName]: archive,
  };
  const github = https.createServer(tls, (request, response) => {
    const content = files[request.url];
    if (typeof content === 'string' && content.startsWith('http:')) {
      response.writeHead(302, { location: content });
    } else {
      response.writeHead(content ? 200 : 404);
    }
    response.end(content);
  });
  const asked = [];
  const proxy = http.createServer().on('connect', (request, socket, head) => {
    asked.push([request.url, request.headers['proxy-authorization']]);
    if (request.headers['proxy-authorization'] !== login) {
      socket.end('HTTP/1.1 407 Proxy Authentication Required\r\n\r\n');
      return;
    }
    socket.write('HTTP/1.1 200 OK\r\n\r\n');
    socket.unshift(head);
    github.emit('connection', socket);
  });
  const login = 'Basic ' + Buffer.from(`jane:${secrets.mirror}`).toString('base64');
  await new Promise((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  t.after(() => proxy.close());
  const address = `127.0.0.1:${proxy.address().port}`;

  const env = {
    HTTPS_PROXY: `http://jane:${secrets.mirror}@${address}`,
    NO_PROXY: 'example.com',
    NODE_EXTRA_CA_CERTS: tls.file,
  };
  good((await new Job(t, env).main({ registries })).ran);
  assert.deepStrictEqual(asked, [
    ['github.com:443', login],
    ['github.com:443', login],
  ]);

  // With NODE_USE_ENV_PROXY, Node does not connect to the proxy through the proxy.
  asked.length = 0;
  good((await new Job(t, { ...env, NODE_USE_ENV_PROXY: '1' }).main({ registries })).ran);
  assert.deepStrictEqual(asked, [
    ['github.com:443', login],
    ['github.com:443', login],
  ]);

  // A redirect from https to http is an error.
  const listed = files[downloads + archiveName];
  files[downloads + archiveName] = `http://127.0.0.1:1/x?signature=${secrets.mirror}`;
  bad(
    (await new Job(t, env).main({ registries })).ran,
    /\.(tar\.gz|zip): it redirects to http:\/\/127\.0\.0\.1:1\/x, which is not https$/,
  );
  files[downloads + archiveName] = listed;

  // Without the CA, the error names the variable.
  bad(
    (await new Job(t, { ...env, NODE_EXTRA_CA_CERTS: '' }).main({ registries })).ran,
    /: self-signed certificate;(.*;)? if the network has its own CA, set NODE_EXTRA_CA_CERTS to its file$/,
  );
  asked.length = 0;
  bad(
    (await new Job(t, { ...env, HTTPS_PROXY: `http://${address}` }).main({ registries })).ran,
    /: the proxy returned 407 for CONNECT github\.com:443$/,
  );
  assert.strictEqual(asked.length, 1);
});

// certificate creates a key and a certificate for a host with openssl. Without openssl, it skips the test.
function certificate(t, host) {
  const [key, file] = ['key.pem', 'cert.pem'].map((name) =>
    path.join(fs.mkdtempSync(path.join(scratch, 'tls-')), name),
  );
  try {
    childProcess.execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:P-256',
        '-nodes',
        '-days',
        '2',
        '-subj',
        `/CN=${host}`,
        '-addext',
        `subjectAltName=DNS:${host}`,
        '-keyout',
        key,
        '-out',
        file,
      ],
      { stdio: 'ignore' },
    );
  } catch (error) {
    t.skip(`openssl cannot create a certificate: ${error.message}`);
    return undefined;
  }
  return { key: fs.readFileSync(key), cert: fs.readFileSync(file), file };
}

// program adds a shell script to a job's PATH. The script logs its arguments and token to a file.
function program(job, name, script) {
  const calls = path.join(job.dir, `${name}.calls`);
  job.write(`bin/${name}`, `#!/bin/sh\necho "$* token=$GH_TOKEN" >>'${calls}'\n${script}\n`, { mode: 0o755 });
  return () => (fs.existsSync(calls) ? fs.readFileSync(calls, 'utf8').trim().split('\n') : []);
}

const identity =
  'https://github.com/ecr-oidc/docker-credential-ecr-oidc/.github/workflows/release.yml@refs/tags/v0.1.0';
const flags = `--cert-identity ${identity} --cert-oidc-issuer https://token.actions.githubusercontent.com`;
const attested = `case "$*" in *--help*) exit 0 ;; esac\necho '[{"attestation": {}}]'`;

test('provenance: gh verifies the archive', { skip: skipOnWindows }, async (t) => {
  const from = await mirror(t, { '/api': 'here' });
  const job = new Job(t, {
    ECR_OIDC_MIRROR: from.url,
    GITHUB_API_URL: `${from.url}/api`,
    GH_HOST: 'ghe.corp',
  });
  const calls = program(job, 'gh', `${attested}\n[ "$GH_HOST" = github.com ] || exit 1`);
  const { ran } = await job.main({ registries, 'github-token': secrets.token });
  good(ran);
  assert.match(ran.output, new RegExp(`: provenance verified by gh: built by ${identity}\n`));
  assert.strictEqual(calls().length, 2);
  assert.match(
    calls()[1],
    new RegExp(
      `^attestation verify ${job.temp}/\\S+/${archiveName} --repo ecr-oidc/docker-credential-ecr-oidc ${flags} --deny-self-hosted-runners --format json token=${secrets.token}$`,
    ),
  );
  assert.deepStrictEqual(
    fs.readdirSync(job.temp).filter((name) => name.includes('-new-')),
    [],
  );
});

for (const [name, script, message] of [
  [
    'fails',
    'echo "Error: verifying with issuer: certificate identity does not match" >&2; exit 1',
    /gh attestation verify: Error: verifying with issuer: certificate identity does not match; the release may not be genuine; .*github-token: ""/,
  ],
  [
    'exits with 0 without an attestation',
    'exit 0',
    /gh attestation verify: there is no attestation for this archive/,
  ],
  ['prints an empty list', 'echo "[]"', /gh attestation verify: there is no attestation for this archive/],
]) {
  test(`provenance: gh ${name}: nothing is installed`, { skip: skipOnWindows }, async (t) => {
    const from = await mirror(t, { '/api': 'here' });
    const job = new Job(t, { ECR_OIDC_MIRROR: from.url, GITHUB_API_URL: `${from.url}/api` });
    program(job, 'gh', `case "$*" in *--help*) exit 0 ;; esac\n${script}`);
    const cosign = program(job, 'cosign', 'echo "GitVersion: v3.1.3"'); // is not tried
    bad((await job.main({ registries, 'github-token': secrets.token })).ran, message);
    assert.deepStrictEqual(
      [fs.readdirSync(job.tools), fs.readdirSync(job.temp), cosign(), job.paths.length],
      [[], [], [], 1],
    );
  });
}

test(
  'provenance: gh is retried after a network error, not after a refusal',
  { skip: skipOnWindows },
  async (t) => {
    const from = await mirror(t, { '/api': 'here' });
    const job = new Job(t, { ECR_OIDC_MIRROR: from.url, GITHUB_API_URL: `${from.url}/api` });
    const calls = program(
      job,
      'gh',
      `case "$*" in *--help*) exit 0 ;; esac\nif [ -e "${job.dir}/again" ]; then echo '[{}]'; else : >"${job.dir}/again"; echo 'HTTP 503: no' >&2; exit 1; fi`,
    );
    good((await job.main({ registries, 'github-token': secrets.token })).ran);
    assert.strictEqual(calls().length, 3);

    const refused = new Job(t, { ECR_OIDC_MIRROR: from.url, GITHUB_API_URL: `${from.url}/api` });
    const once = program(
      refused,
      'gh',
      'case "$*" in *--help*) exit 0 ;; esac\necho "HTTP 404: Not Found" >&2; exit 1',
    );
    bad(
      (await refused.main({ registries, 'github-token': secrets.token })).ran,
      /gh attestation verify: HTTP 404: Not Found; the release may not be genuine/,
    );
    assert.strictEqual(once().length, 2);
  },
);

for (const [name, env, inputs, script] of [
  ['without a token', {}, {}, attested],
  ['without the attestation command', {}, { 'github-token': secrets.token }, 'exit 1'],
  [
    "with an Enterprise Server's token",
    { GITHUB_SERVER_URL: 'https://ghe.corp' },
    { 'github-token': secrets.token },
    attested,
  ],
  [
    'with a mirror, without access to GitHub',
    { GITHUB_API_URL: 'http://127.0.0.1:1/' },
    { 'github-token': secrets.token },
    attested,
  ],
]) {
  test(`provenance: gh ${name}: cosign verifies the checksums`, { skip: skipOnWindows }, async (t) => {
    const from = await mirror(t, {
      [`${folder}checksums.txt.sigstore.json`]: '{"bundle": 1}',
      '/api': 'here',
    });
    const job = new Job(t, { ECR_OIDC_MIRROR: from.url, GITHUB_API_URL: `${from.url}/api`, ...env });
    program(job, 'gh', script);
    const cosign = program(
      job,
      'cosign',
      'case $1 in version) echo "GitVersion:    v3.1.3" ;; *) read -r text <"$3"; [ "$text" = \'{"bundle": 1}\' ] ;; esac',
    );
    const { ran } = await job.main({ registries, ...inputs });
    good(ran);
    assert.match(ran.output, new RegExp(`: provenance verified by cosign: signed by ${identity}\n`));
    assert.match(
      cosign()[1],
      new RegExp(
        `^verify-blob --bundle \\S+/checksums.txt.sigstore.json ${flags.replaceAll('--cert-', '--certificate-')} \\S+/checksums.txt token=$`,
      ),
    );
  });
}

for (const [release, flag] of [
  ['v2.6.5', /^verify-blob --new-bundle-format --bundle /],
  ['v3.0.0', /^verify-blob --bundle /],
  ['v4.2.0', /^verify-blob --bundle /],
  ['devel', /^verify-blob --bundle /],
]) {
  test(`provenance: cosign ${release}`, { skip: skipOnWindows }, async (t) => {
    const from = await mirror(t, { [`${folder}checksums.txt.sigstore.json`]: '{}' });
    const job = new Job(t, { ECR_OIDC_MIRROR: from.url });
    const cosign = program(job, 'cosign', `echo "GitVersion:    ${release}"`);
    good((await job.main({ registries })).ran);
    assert.match(cosign()[1], flag);
  });
}

test('provenance: cosign fails, has no signature, or is too old', { skip: skipOnWindows }, async (t) => {
  const files = { [`${folder}checksums.txt.sigstore.json`]: '{}' };
  const from = await mirror(t, files);
  const refusing = new Job(t, { ECR_OIDC_MIRROR: from.url });
  program(
    refusing,
    'cosign',
    'case $1 in version) echo "GitVersion: v3.1.3" ;; *) echo "none of the expected identities matched" >&2; exit 1 ;; esac',
  );
  bad(
    (await refusing.main({ registries })).ran,
    /cosign verify-blob: none of the expected identities matched; the release may not be genuine$/,
  );
  assert.deepStrictEqual(fs.readdirSync(refusing.tools), []);

  const unsigned = new Job(t, { ECR_OIDC_MIRROR: (await mirror(t)).url });
  program(unsigned, 'cosign', 'echo "GitVersion: v3.1.3"');
  bad((await unsigned.main({ registries })).ran, /checksums\.txt\.sigstore\.json: HTTP status 404/);

  const old = new Job(t, { ECR_OIDC_MIRROR: from.url });
  program(old, 'cosign', 'echo "GitVersion: v2.3.0"');
  const { ran } = await old.main({ registries });
  good(ran);
  assert.match(
    ran.output,
    /: provenance not verified: neither .* available \(cosign is version 2\.3; version 2\.4 or later is required\)\n/,
  );
});

test(
  'ECR_OIDC_VERIFY=required: an unverified release is not installed or used from the tool cache',
  { skip: skipOnWindows },
  async (t) => {
    const from = await mirror(t, { [`${folder}checksums.txt.sigstore.json`]: '{}' });
    const lax = new Job(t, { ECR_OIDC_MIRROR: from.url });
    good((await lax.main({ registries })).ran);

    const strict = { ECR_OIDC_MIRROR: from.url, ECR_OIDC_VERIFY: 'required', RUNNER_TOOL_CACHE: lax.tools };
    const job = new Job(t, strict);
    const missing =
      /ECR_OIDC_VERIFY is required, but neither gh with a token nor cosign is available; install gh 2\.67 or later and set github-token, or install cosign 2\.4 or later$/;
    bad((await job.main({ registries })).ran, missing);
    const old = new Job(t, strict);
    program(old, 'cosign', 'echo "GitVersion: v2.3.0"');
    bad(
      (await old.main({ registries })).ran,
      /ECR_OIDC_VERIFY is required, but .* \(cosign is version 2\.3; version 2\.4 or later is required\); install gh /,
    );
    const empty = new Job(t, { ...strict, RUNNER_TOOL_CACHE: new Job(t).tools });
    bad((await empty.main({ registries })).ran, missing);
    assert.deepStrictEqual(
      [job.paths.length, old.paths.length, empty.paths.length, fs.readdirSync(empty.env.RUNNER_TOOL_CACHE)],
      [1, 1, 1, []],
    );

    // With cosign, the release is verified. The next job uses it without cosign.
    const able = new Job(t, strict);
    const cosign = program(able, 'cosign', 'case $1 in version) echo "GitVersion: v3.1.3" ;; esac');
    good((await able.main({ registries })).ran);
    assert.strictEqual(cosign().length, 2);
    const before = from.asked.length;
    const { ran } = await new Job(t, strict).main({ registries });
    assert.match(
      good(ran).output,
      new RegExp(
        `: from the tool cache, .*; provenance when cached: verified by cosign: signed by ${identity}\n`,
      ),
    );
    assert.strictEqual(from.asked.length, before);

    // An empty .complete file, or one for another binary, is not a verification.
    for (const [file, content] of [
      [`${path.dirname(cached(lax))}.complete`, ''],
      [cached(lax), 'another'],
    ]) {
      good((await able.main({ registries })).ran);
      fs.writeFileSync(file, content);
      bad((await new Job(t, strict).main({ registries })).ran, missing);
    }
    bad(
      (await new Job(t, { ECR_OIDC_VERIFY: 'yes' }).main({ registries })).ran,
      /ECR_OIDC_VERIFY is "yes"; set it to "required", or unset it$/,
    );
  },
);

test(
  'a binary that does not run is an error',
  { skip: here.format === 'zip' ? 'the test binary is a shell script' : false },
  async (t) => {
    const job = new Job(t);
    const file = cached(job);
    fs.mkdirSync(path.dirname(file), { recursive: true });
    fs.writeFileSync(file, 'no program', { mode: 0o755 });
    fs.writeFileSync(path.dirname(file) + '.complete', '');
    bad((await job.main({ registries })).ran, /running .*docker-credential-ecr-oidc: /);
  },
);
