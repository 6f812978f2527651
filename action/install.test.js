'use strict';

// Tests of the installation and the tool cache.

const assert = require('node:assert');
const fs = require('node:fs');
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
  sha256,
  version,
} = require('./testdata/harness.js');

const registries = '123456789012.dkr.ecr.eu-west-2.amazonaws.com';
const folder = `/v${version}/`;

// cached returns the path of the binary in the tool cache.
const cached = (job) =>
  path.join(job.tools, 'docker-credential-ecr-oidc', version, process.arch, here.binary);

test('the pinned version is downloaded, checked, cached and put on PATH', async (t) => {
  const from = await mirror(t);
  const job = new Job(t, { ECR_OIDC_MIRROR: from.url });
  const { ran } = await job.main({ registries, version: `v${version}` });
  good(ran);
  assert.deepStrictEqual(from.requests, [`${folder}checksums.txt`, folder + archiveName]);
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
  assert.strictEqual(from.requests.length, 2);
  assert.deepStrictEqual(second.paths.slice(0, -1), [path.dirname(cached(job))]);

  // A binary that was changed in the tool cache is not used.
  fs.appendFileSync(cached(job), 'more');
  good(
    (await new Job(t, { ECR_OIDC_MIRROR: from.url, RUNNER_TOOL_CACHE: job.tools }).main({ registries })).ran,
  );
  assert.strictEqual(from.requests.length, 4);
  assert.ok(fs.readFileSync(cached(job)).equals(release().binary));
});

test('an incomplete version in the tool cache is replaced', async (t) => {
  const from = await mirror(t);
  const job = new Job(t, { ECR_OIDC_MIRROR: from.url });
  fs.mkdirSync(path.dirname(cached(job)), { recursive: true });
  fs.writeFileSync(cached(job), 'half');
  good((await job.main({ registries })).ran);
  assert.strictEqual(from.requests.length, 2);
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
      `checksum mismatch: ${archiveName} has ${sha256(evil)}, ` +
        `checksums.txt lists ${sha256(release().archive)}; nothing was installed`,
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
