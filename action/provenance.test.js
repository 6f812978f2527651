'use strict';

// Tests of the verification of the provenance of a release.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const {
  Job,
  archiveName,
  bad,
  good,
  here,
  mirror,
  secrets,
  version,
} = require('./testdata/harness.js');

const registries = '123456789012.dkr.ecr.eu-west-2.amazonaws.com';
const folder = `/v${version}/`;
const skipOnWindows = here.format === 'zip' ? 'the test programs for gh and cosign are shell scripts' : false;

// cached returns the path of the binary in the tool cache.
const cached = (job) =>
  path.join(job.tools, 'docker-credential-ecr-oidc', version, process.arch, here.binary);

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
      `^attestation verify ${job.temp}/\\S+/${archiveName} --repo ecr-oidc/docker-credential-ecr-oidc ` +
        `${flags} --deny-self-hosted-runners --format json token=${secrets.token}$`,
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
    new RegExp(
      'gh attestation verify: Error: verifying with issuer: certificate identity does not match; ' +
        'the release may not be genuine; .*github-token: ""',
    ),
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
      'case "$*" in *--help*) exit 0 ;; esac\n' +
        `if [ -e "${job.dir}/again" ]; then echo '[{}]'; ` +
        `else : >"${job.dir}/again"; echo 'HTTP 503: no' >&2; exit 1; fi`,
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
      'case $1 in version) echo "GitVersion:    v3.1.3" ;; ' +
        '*) read -r text <"$3"; [ "$text" = \'{"bundle": 1}\' ] ;; esac',
    );
    const { ran } = await job.main({ registries, ...inputs });
    good(ran);
    assert.match(ran.output, new RegExp(`: provenance verified by cosign: signed by ${identity}\n`));
    assert.match(
      cosign()[1],
      new RegExp(
        '^verify-blob --bundle \\S+/checksums.txt.sigstore.json ' +
          `${flags.replaceAll('--cert-', '--certificate-')} \\S+/checksums.txt token=$`,
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
    'case $1 in version) echo "GitVersion: v3.1.3" ;; ' +
      '*) echo "none of the expected identities matched" >&2; exit 1 ;; esac',
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
    const missing = new RegExp(
      'ECR_OIDC_VERIFY is required, but neither gh with a token nor cosign is available; ' +
        'install gh 2\\.67 or later and set github-token, or install cosign 2\\.4 or later$',
    );
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
    const before = from.requests.length;
    const { ran } = await new Job(t, strict).main({ registries });
    assert.match(
      good(ran).output,
      new RegExp(
        `: from the tool cache, .*; provenance when cached: verified by cosign: signed by ${identity}\n`,
      ),
    );
    assert.strictEqual(from.requests.length, before);

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
