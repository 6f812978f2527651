'use strict';

// Tests of docker-login: true, which writes logins to ~/.docker/config.json until the job ends, for
// actions/attest and other tools that read only this file.

const assert = require('node:assert');
const childProcess = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { Job, bad, good, here, mirror, release, secrets } = require('./testdata/harness.js');

const host = '123456789012.dkr.ecr.eu-west-2.amazonaws.com';
const other = '210987654321.dkr.ecr.eu-west-2.amazonaws.com';
const unix = here.format !== 'zip';
const passwords = { [host]: 'ecr-password-one-marked', [other]: 'ecr-password-two-marked' };
const auth = (registry) => Buffer.from(`AWS:${passwords[registry]}`).toString('base64');
const inputs = { registries: `${host}\n${other}`, 'docker-login': 'true' };

// jobOf returns a job whose cache has a password for both registries, so that the helper makes no
// request.
async function jobOf(t, env = {}) {
  const ECR_OIDC_MIRROR = (await mirror(t)).url;
  const job = new Job(t, {
    ECR_OIDC_MIRROR,
    ACTIONS_ID_TOKEN_REQUEST_TOKEN: 'bearer-of-the-test-job',
    ...env,
  });
  const helper = job.write(here.binary, release().binary, { mode: 0o755 });
  for (const [registry, secret] of Object.entries(passwords)) {
    const input = JSON.stringify({ ServerURL: registry, Username: 'AWS', Secret: secret });
    childProcess.execFileSync(helper, ['store'], { env: job.env, input });
  }
  t.after(() => {
    // the log contains a password only in add-mask commands
    for (const secret of Object.values(passwords)) {
      const lines = job.output.split('\n').filter((line) => line.includes(secret));
      assert.ok(
        lines.every((line) => line === `::add-mask::${secret}`),
        lines.join('\n'),
      );
    }
  });
  return job;
}

const file = (job) => path.join(job.home, '.docker', 'config.json');
const text = (job) => fs.readFileSync(file(job), 'utf8');

// attest finds a login as actions/attest does: in ~/.docker/config.json, regardless of DOCKER_CONFIG,
// under the first key that contains the registry (sigstore/sigstore-js,
// packages/oci/src/credentials.ts, getRegistryCredentials).
function attest(job, registry) {
  const { auths = {} } = JSON.parse(text(job));
  const found = auths[Object.keys(auths).find((key) => key.includes(registry))];
  return Buffer.from(found.auth, 'base64').toString();
}

// noneLeft asserts that no file of the job contains a password in plaintext.
function noneLeft(job) {
  for (const name of fs.readdirSync(job.dir, { recursive: true })) {
    const found = path.join(job.dir, name);
    const content = fs.statSync(found).isFile() ? fs.readFileSync(found, 'latin1') : '';
    for (const registry of Object.keys(passwords)) {
      assert.ok(!content.includes(passwords[registry]) && !content.includes(auth(registry)), name);
    }
  }
}

for (const mode of ['job', 'user']) {
  test(`${mode}: logins for attest are masked, and removed at the end`, async (t) => {
    const before = {
      auths: { [`https://${other}/v1`]: { auth: secrets.login }, 'ghcr.io': { auth: secrets.login } },
      currentContext: 'remote',
    };
    const job = await jobOf(t);
    job.write('home/.docker/config.json', JSON.stringify(before, null, '\t'), { mode: 0o640 });
    const first = await job.main({ ...inputs, 'docker-config': mode, registries: `https://${host}/` });
    good(first.ran);
    assert.strictEqual(attest(job, host), `AWS:${passwords[host]}`);
    const second = await job.main({ ...inputs, 'docker-config': mode });
    good(second.ran);
    for (const registry of [host, other]) {
      assert.strictEqual(attest(job, registry), `AWS:${passwords[registry]}`);
      // Both forms of the secret are masked before any other output.
      const masked = `::add-mask::${passwords[registry]}\n::add-mask::${auth(registry)}\n`;
      assert.ok(second.ran.output.includes(masked), second.ran.output);
    }
    assert.deepStrictEqual(JSON.parse(text(job)).auths['ghcr.io'], { auth: secrets.login });
    if (unix) {
      assert.strictEqual(fs.statSync(file(job)).mode & 0o777, 0o600);
    }
    const line = `\nwrote logins to ${file(job)}, which the post step removes: ${host}, ${other}\n`;
    assert.ok(second.ran.output.includes(line), second.ran.output);
    // Docker still calls the helper.
    assert.strictEqual(job.docker().credHelpers[host], 'ecr-oidc');
    if (mode === 'job') {
      assert.ok(!JSON.stringify(job.docker()).includes(auth(host)));
    }

    good(await second.post());
    assert.strictEqual(attest(job, host), `AWS:${passwords[host]}`);
    good(await first.post());
    assert.deepStrictEqual(JSON.parse(text(job)), before);
    if (mode === 'job') {
      // in mode user, configure has moved an entry
      assert.strictEqual(text(job), JSON.stringify(before, null, '\t'));
    }
    if (unix) {
      assert.strictEqual(fs.statSync(file(job)).mode & 0o777, 0o640);
    }
    noneLeft(job);
  });
}

test('a new config.json is removed at the end', async (t) => {
  const job = await jobOf(t);
  const step = await job.main(inputs);
  good(step.ran);
  assert.strictEqual(attest(job, other), `AWS:${passwords[other]}`);
  if (unix) {
    assert.strictEqual(fs.statSync(path.join(job.home, '.docker')).mode & 0o777, 0o700);
  }
  good(await step.post());
  assert.deepStrictEqual(fs.readdirSync(path.join(job.home, '.docker')), []);
  noneLeft(job);
});

test('later changes stay; previous logins are restored', async (t) => {
  const job = await jobOf(t);
  job.write('home/.docker/config.json', JSON.stringify({ auths: { [other]: { auth: secrets.login } } }));
  const step = await job.main(inputs);
  good(step.ran);
  const changed = JSON.parse(text(job));
  changed.auths['ghcr.io'] = { auth: secrets.login };
  changed.credsStore = 'pass';
  fs.writeFileSync(file(job), JSON.stringify(changed));
  good(await step.post());
  assert.deepStrictEqual(JSON.parse(text(job)), {
    auths: { [other]: { auth: secrets.login }, 'ghcr.io': { auth: secrets.login } },
    credsStore: 'pass',
  });
  noneLeft(job);

  // A login of another step for the same registry stays.
  const replaced = await jobOf(t);
  const again = await replaced.main(inputs);
  good(again.ran);
  const mixed = { auths: { [host]: { auth: secrets.login }, [other]: { auth: auth(other) } } };
  fs.writeFileSync(file(replaced), JSON.stringify(mixed));
  good(await again.post());
  assert.deepStrictEqual(JSON.parse(text(replaced)), { auths: { [host]: { auth: secrets.login } } });

  // After "docker logout", the file is not changed.
  const without = await jobOf(t);
  const last = await without.main(inputs);
  good(last.ran);
  fs.writeFileSync(file(without), '{ "auths":{} }');
  good(await last.post());
  assert.strictEqual(text(without), '{ "auths":{} }');
});

test('without a password, the step fails and no files remain', async (t) => {
  const job = new Job(t, { ECR_OIDC_MIRROR: (await mirror(t)).url });
  const step = await job.main({ ...inputs, 'role-to-assume': 'ci' });
  bad(step.ran, new RegExp(`logging in to ${host.replaceAll('.', '\\.')}: .*id-token: write`));
  assert.ok(!fs.existsSync(path.join(job.home, '.docker')));
  good(await step.post());
  const left = fs.readdirSync(job.temp).filter((name) => name.startsWith('docker-credential'));
  assert.deepStrictEqual(left, []);
});

test('an invalid config.json is neither changed nor quoted', async (t) => {
  for (const content of [`{"auths": {"ghcr.io": {"auth": "${secrets.login}"`, '[]', 'null']) {
    const job = await jobOf(t);
    const before = job.write('home/.docker/config.json', '{}');
    const step = await job.main(inputs);
    good(step.ran);
    fs.writeFileSync(before, content); // by another step
    const ran = good(await step.post());
    const warning =
      /::removing the logins of docker-login: \S+config\.json is not a JSON object; remove them .*$/m;
    assert.match(ran.output, warning, content);
    assert.strictEqual(text(job), content);
  }
});

const links = { skip: unix ? false : 'symlinks require a privilege on Windows' };

test('config.json as a symlink stays a symlink', links, async (t) => {
  const job = await jobOf(t);
  const aim = job.write('dotfiles/config.json', '{}');
  fs.mkdirSync(path.dirname(file(job)));
  fs.symlinkSync(aim, file(job));
  const step = await job.main(inputs);
  good(step.ran);
  assert.strictEqual(attest(job, host), `AWS:${passwords[host]}`);
  good(await step.post());
  assert.strictEqual(fs.readlinkSync(file(job)), aim);
  assert.strictEqual(fs.readFileSync(aim, 'utf8'), '{}');
});

test('docker-login is off by default', async (t) => {
  for (const value of ['', 'false']) {
    const job = await jobOf(t);
    good((await job.main({ ...inputs, 'docker-login': value })).ran);
    assert.ok(!fs.existsSync(file(job)));
  }
  const job = await jobOf(t);
  const refused = await job.main({ ...inputs, 'docker-login': 'yes' });
  bad(refused.ran, /docker-login is "yes"; allowed are true and false$/);
});
