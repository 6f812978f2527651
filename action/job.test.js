'use strict';

// Tests of Docker's configuration during and after a job.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { Job, bad, good, here, mirror, secrets } = require('./testdata/harness.js');

const host = '123456789012.dkr.ecr.eu-west-2.amazonaws.com';
const other = '210987654321.dkr.ecr.eu-west-2.amazonaws.com';
const third = '333344445555.dkr.ecr.eu-west-2.amazonaws.com';
const unix = here.format !== 'zip';

// userConfig is the config.json of a user, with logins and settings of other registries.
const userConfig = {
  auths: { 'ghcr.io': { auth: secrets.login }, [`https://${other}`]: { auth: secrets.login } },
  credHelpers: { 'gcr.io': 'gcloud', [third]: 'ecr-login' },
  currentContext: 'remote',
  proxies: { default: { httpProxy: 'http://proxy.corp' } },
};

async function newJob(t, env = {}) {
  return new Job(t, { ECR_OIDC_MIRROR: (await mirror(t)).url, ...env });
}

// writeUserFiles writes the user's Docker directory and returns its files.
function writeUserFiles(job) {
  job.write('home/.docker/config.json', JSON.stringify(userConfig, null, '\t') + '\n', { mode: 0o600 });
  job.write('home/.docker/contexts/meta/abc/meta.json', '{"Name": "remote"}');
  job.write('home/.docker/contexts/tls/abc/docker/key.pem', secrets.login, { mode: 0o600 });
  job.write('home/.docker/cli-plugins/docker-buildx', 'plugin', { mode: 0o755 });
  job.write('home/.docker/buildx/current', '{}');
  if (unix) {
    fs.symlinkSync(
      '/usr/libexec/docker/cli-plugins/docker-compose',
      path.join(job.home, '.docker/cli-plugins/docker-compose'),
    );
  }
  return tree(path.join(job.home, '.docker'));
}

// tree returns the contents, modes and links below a directory, by name.
function tree(folder) {
  const found = {};
  for (const name of fs.readdirSync(folder).sort()) {
    const file = path.join(folder, name);
    const stat = fs.lstatSync(file);
    if (stat.isDirectory()) {
      Object.assign(
        found,
        Object.fromEntries(Object.entries(tree(file)).map(([below, what]) => [`${name}/${below}`, what])),
      );
    } else {
      found[name] = stat.isSymbolicLink()
        ? fs.readlinkSync(file)
        : [stat.mode & 0o777, fs.readFileSync(file, 'utf8')];
    }
  }
  return found;
}

const settings = (job) =>
  fs.readFileSync(job.env.ECR_OIDC_CONFIG || path.join(job.env.DOCKER_CONFIG, 'ecr-oidc.yaml'), 'utf8');

test("job: a directory of this job's own, seeded from the user's, which is not touched", async (t) => {
  const job = await newJob(t);
  const before = writeUserFiles(job);
  const step = await job.main({ registries: `${host}\n${other}=spoke\n${third}`, 'role-to-assume': 'ci' });
  good(step.ran);
  const folder = job.env.DOCKER_CONFIG;
  assert.strictEqual(path.dirname(folder), job.temp);
  if (unix) {
    assert.strictEqual(fs.statSync(folder).mode & 0o777, 0o700);
  }
  assert.deepStrictEqual(job.docker(), {
    auths: { 'ghcr.io': userConfig.auths['ghcr.io'] },
    credHelpers: { 'gcr.io': 'gcloud', [third]: 'ecr-oidc', [host]: 'ecr-oidc', [other]: 'ecr-oidc' },
    currentContext: 'remote',
    proxies: userConfig.proxies,
  });
  const copied = tree(folder);
  for (const name of Object.keys(before).filter((name) => /^(contexts|cli-plugins)\//.test(name))) {
    assert.deepStrictEqual(copied[name], before[name], name);
  }
  assert.ok(!Object.keys(copied).some((name) => name.startsWith('buildx')));
  assert.strictEqual(job.env.BUILDX_CONFIG, path.join(job.home, '.docker', 'buildx'));
  assert.match(
    settings(job),
    /"123456789012":\n {4}role: "ci"\n {2}"333344445555":\n {4}role: "ci"\n {2}"210987654321":\n {4}role: "spoke"\n/,
  );
  assert.match(step.ran.output, /Docker uses ecr-oidc for 333344445555\.\S+, instead of ecr-login\n/);

  // Other tools write to the job's directory.
  fs.writeFileSync(path.join(folder, 'cli-plugins/docker-buildx'), 'newer');
  assert.deepStrictEqual(tree(path.join(job.home, '.docker')), before);

  good(await step.post());
  assert.ok(!fs.existsSync(folder));
  assert.deepStrictEqual(tree(path.join(job.home, '.docker')), before);
  assert.strictEqual(job.env.DOCKER_CONFIG, path.join(job.home, '.docker')); // for the post steps of other actions
});

test('job: a second call adds to the same directory', async (t) => {
  const job = await newJob(t);
  const first = await job.main({
    registries: host,
    'role-to-assume': 'ci',
    'allowed-account-ids': '123456789012',
  });
  good(first.ran);
  const folder = job.env.DOCKER_CONFIG;
  const second = await job.main({
    registries: `${other}=arn:aws:iam::210987654321:role/spoke`,
    audience: 'other',
    'role-session-name': 'me-7',
    'role-duration-seconds': '900',
    'allowed-account-ids': '210987654321',
  });
  good(second.ran);
  assert.strictEqual(job.env.DOCKER_CONFIG, folder);
  assert.strictEqual(job.env.BUILDX_CONFIG, path.join(job.home, '.docker', 'buildx'));
  assert.deepStrictEqual(job.docker().credHelpers, { [host]: 'ecr-oidc', [other]: 'ecr-oidc' });
  assert.strictEqual(
    settings(job),
    `allowed_account_ids: ["123456789012", "210987654321"]
accounts:
  "123456789012":
    role: "ci"
  "210987654321":
    role: "arn:aws:iam::210987654321:role/spoke"
    audience: "other"
    session_name: "me-7"
    session_duration: "900"
`,
  );
  // The runner runs post steps in reverse order. That of the first call removes the directory.
  good(await second.post());
  assert.deepStrictEqual(job.docker().credHelpers, { [host]: 'ecr-oidc', [other]: 'ecr-oidc' });
  good(await first.post());
  assert.deepStrictEqual(fs.readdirSync(job.temp), []);
});

test("job: the user's settings apply, next to config.json or in ECR_OIDC_CONFIG", async (t) => {
  const job = await newJob(t);
  job.write('home/.docker/ecr-oidc.yaml', "# the runner's\ndefault:\n  role: usual\n");
  good((await job.main({ registries: `${host}=ci` })).ran);
  assert.match(
    settings(job),
    /^# the runner's\ndefault:\n {2}role: usual\naccounts:\n {2}"123456789012":\n {4}role: "ci"\n$/,
  );
  assert.ok(!('ECR_OIDC_CONFIG' in job.env));

  const named = await newJob(t);
  const file = named.write('checkout/ecr-oidc.yaml', 'default:\n  role: usual\n');
  named.env.ECR_OIDC_CONFIG = file;
  const step = await named.main({ registries: `${host}=ci` });
  good(step.ran);
  assert.strictEqual(named.env.ECR_OIDC_CONFIG, path.join(named.env.DOCKER_CONFIG, 'ecr-oidc.yaml'));
  assert.match(settings(named), /role: usual\n[^]*role: "ci"\n/);
  good(await step.post());
  assert.strictEqual(named.env.ECR_OIDC_CONFIG, file);
  assert.strictEqual(fs.readFileSync(file, 'utf8'), 'default:\n  role: usual\n');

  const missing = await newJob(t, { ECR_OIDC_CONFIG: '/no/such/file' });
  bad(
    (await missing.main({ registries: host })).ran,
    /ECR_OIDC_CONFIG is \/no\/such\/file, which does not exist$/,
  );
  assert.deepStrictEqual(fs.readdirSync(missing.temp), []); // the new directory, which may contain logins, is removed
});

test('job: DOCKER_CONFIG and BUILDX_CONFIG of the user, and a user without a home directory', async (t) => {
  const job = await newJob(t, { BUILDX_CONFIG: '/var/buildx' });
  job.env.DOCKER_CONFIG = job.folder('mine');
  job.write('mine/config.json', '{"credsStore": "desktop"}');
  const step = await job.main({ registries: host });
  good(step.ran);
  assert.deepStrictEqual(job.docker(), { credsStore: 'desktop', credHelpers: { [host]: 'ecr-oidc' } });
  assert.strictEqual(job.env.BUILDX_CONFIG, '/var/buildx');
  good(await step.post());
  assert.strictEqual(job.env.DOCKER_CONFIG, path.join(job.dir, 'mine'));

  const homeless = await newJob(t, { HOME: '', USERPROFILE: '' });
  const without = await homeless.main({ registries: host });
  good(without.ran);
  assert.deepStrictEqual(homeless.docker().credHelpers, {
    ...homeless.docker().credHelpers,
    [host]: 'ecr-oidc',
  });
  good(await without.post());
});

test('job: another directory with the same prefix is not used', async (t) => {
  const job = await newJob(t);
  const mine = path.join(job.temp, 'docker-credential-ecr-oidc-mine');
  fs.mkdirSync(mine);
  job.env.DOCKER_CONFIG = mine;
  good((await job.main({ registries: host })).ran);
  assert.notStrictEqual(job.env.DOCKER_CONFIG, mine);
  assert.deepStrictEqual(fs.readdirSync(mine), []);
});

test("user: the user's config.json is changed and restored", async (t) => {
  const job = await newJob(t);
  const before = writeUserFiles(job);
  const first = await job.main({
    'docker-config': 'user',
    registries: `${host}\n${other}=spoke`,
    'role-to-assume': 'ci',
  });
  good(first.ran);
  assert.ok(!('DOCKER_CONFIG' in job.env));
  assert.deepStrictEqual(job.docker().credHelpers, {
    'gcr.io': 'gcloud',
    [third]: 'ecr-login',
    [host]: 'ecr-oidc',
    [other]: 'ecr-oidc',
  });
  assert.deepStrictEqual(Object.keys(job.docker().auths), ['ghcr.io']);
  // The roles are not written to the user's files.
  assert.ok(!fs.existsSync(path.join(job.home, '.docker', 'ecr-oidc.yaml')));
  assert.match(settings(job), /"123456789012":\n {4}role: "ci"\n {2}"210987654321":\n {4}role: "spoke"\n/);

  const second = await job.main({ 'docker-config': 'user', registries: `${third}=third\n${host}=ci` });
  good(second.ran);
  assert.match(settings(job), /role: "ci"\n[^]*role: "spoke"\n[^]*role: "third"\n/);
  assert.strictEqual(job.docker().credHelpers[third], 'ecr-oidc');

  good(await second.post());
  assert.deepStrictEqual(job.docker().credHelpers, {
    'gcr.io': 'gcloud',
    [third]: 'ecr-login',
    [host]: 'ecr-oidc',
    [other]: 'ecr-oidc',
  });
  good(await first.post());
  assert.deepStrictEqual(job.docker(), userConfig);
  assert.deepStrictEqual(tree(path.join(job.home, '.docker')), before);
  assert.deepStrictEqual(fs.readdirSync(job.temp), []);
  assert.strictEqual(job.env.ECR_OIDC_CONFIG, '');
});

test('user: previous entries and later changes stay; a new file is removed', async (t) => {
  const job = await newJob(t);
  job.write(
    'home/.docker/config.json',
    JSON.stringify({ credHelpers: { [host]: 'ecr-oidc', [other]: 'ecr-login' } }),
  );
  const step = await job.main({ 'docker-config': 'user', registries: `${host}\n${other}\n${third}` });
  good(step.ran);
  const file = path.join(job.home, '.docker', 'config.json');
  fs.writeFileSync(
    file,
    JSON.stringify({
      ...job.docker(),
      auths: { 'ghcr.io': {} },
      credHelpers: { ...job.docker().credHelpers, [third]: 'mine' },
    }),
  );
  good(await step.post());
  assert.deepStrictEqual(job.docker(), {
    credHelpers: { [host]: 'ecr-oidc', [other]: 'ecr-login', [third]: 'mine' },
    auths: { 'ghcr.io': {} },
  });

  const fresh = await newJob(t);
  const only = await fresh.main({ 'docker-config': 'user', registries: `${host}=ci\n${other}=spoke` });
  good(only.ran);
  good(await only.post());
  assert.ok(!fs.existsSync(path.join(fresh.home, '.docker', 'config.json')));
});

test('user after job is an error; job after user works', async (t) => {
  const job = await newJob(t);
  good((await job.main({ registries: host })).ran);
  bad(
    (await job.main({ 'docker-config': 'user', registries: host })).ran,
    /docker-config is user, but job in an earlier step of this job; /,
  );

  const turned = await newJob(t);
  const first = await turned.main({ 'docker-config': 'user', registries: `${host}=ci` });
  const second = await turned.main({ registries: `${other}=spoke` });
  good(second.ran);
  assert.match(settings(turned), /role: "ci"\n[^]*role: "spoke"\n/);
  assert.deepStrictEqual(turned.docker().credHelpers, { [host]: 'ecr-oidc', [other]: 'ecr-oidc' });
  good(await second.post());
  good(await first.post());
  assert.deepStrictEqual(fs.readdirSync(turned.temp), []);
  assert.ok(!fs.existsSync(path.join(turned.home, '.docker', 'config.json')));
});

test('an error of configure fails the step and is undone', async (t) => {
  for (const [inputs, message] of [
    [{ registries: 'docker.io' }, /configuring Docker: "docker\.io" is not an ECR registry/],
    [{ registries: '--remove' }, /configuring Docker: "--remove" is not an ECR registry/],
    [
      { registries: `${host}=no role!` },
      /configuring Docker: line 1 of registries has "no role!", which is not a role/,
    ],
    [
      { registries: host, 'role-to-assume': 'no role!' },
      /configuring Docker: role-to-assume has "no role!", which is not a role/,
    ],
    [
      { registries: host, 'role-duration-seconds': '60' },
      /configuring Docker: role-duration-seconds is "60"; it must be/,
    ],
    [
      { registries: host, 'allowed-account-ids': '12345670123' },
      /: allowed-account-ids has "12345670123", which is not an account number/,
    ],
  ]) {
    for (const mode of ['job', 'user']) {
      const job = await newJob(t);
      const step = await job.main({ 'docker-config': mode, ...inputs });
      bad(step.ran, message);
      assert.ok(!('DOCKER_CONFIG' in job.env));
      good(await step.post('success')); // continue-on-error
      assert.deepStrictEqual(fs.readdirSync(job.temp), []);
      assert.ok(!fs.existsSync(path.join(job.home, '.docker', 'config.json')));
    }
  }
});

test('user: an error in the second group undoes the first', async (t) => {
  const job = await newJob(t);
  const before = writeUserFiles(job);
  const step = await job.main({ 'docker-config': 'user', registries: `${third}\n${host}=no role!` });
  bad(step.ran, /which is not a role/);
  assert.strictEqual(job.docker().credHelpers[third], 'ecr-oidc');
  good(await step.post('failure'));
  assert.deepStrictEqual(tree(path.join(job.home, '.docker')), before);
});

test('inputs cannot inject variables, PATH directories or workflow commands', async (t) => {
  const job = await newJob(t);
  for (const inputs of [
    { registries: `${host}\n::add-path::/evil` },
    { registries: host, 'role-to-assume': 'ci\nECR_OIDC_ROLE<<x\nevil\nx' },
    { registries: host, audience: '::set-env name=EVIL::1' },
    { registries: host, version: '0.1.0\n::error::x' },
    { registries: `${host}=%0A::error::x` },
    { registries: host, 'docker-config': 'job%0A::warning::x' },
  ]) {
    const { ran } = await job.main(inputs);
    for (const line of ran.output.split('\n')) {
      assert.ok(
        !/^\s*::/.test(line) || /^::(error|warning) title=docker-credential-ecr-oidc::[^\n]*$/.test(line),
        line,
      );
      assert.ok(!line.includes('##['), line);
    }
  }
  assert.deepStrictEqual(
    Object.keys(job.env).filter((name) => /EVIL|ROLE/.test(name)),
    [],
  );
  assert.ok(job.paths.every((folder) => folder === job.bin || folder.startsWith(job.tools)));
});

test('a RUNNER_TEMP with a line break', { skip: unix ? false : 'Windows has no such names' }, async (t) => {
  const job = await newJob(t);
  job.env.RUNNER_TEMP = job.folder('te\nmp');
  const step = await job.main({ registries: host });
  good(step.ran);
  assert.ok(job.env.DOCKER_CONFIG.startsWith(job.env.RUNNER_TEMP));
  good(await step.post());
  job.env.RUNNER_TOOL_CACHE = job.folder('to\nols');
  bad(
    (await job.main({ registries: host })).ran,
    /the directory ".*to\\nols.*" cannot be added to PATH: it contains a line break$/,
  );
});

test('outside a runner: an error', async (t) => {
  const job = await newJob(t, { RUNNER_TEMP: '', RUNNER_TOOL_CACHE: '' });
  bad((await job.main({ registries: host })).ran, /RUNNER_TEMP is not set: this is not a step of an action$/);
});
