'use strict';

// Tests of Docker's configuration during and after a job.

const assert = require('node:assert');
const childProcess = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { Job, bad, good, here, mirror, secrets } = require('./testdata/harness.js');

const host = '123456789012.dkr.ecr.eu-west-2.amazonaws.com';
const other = '210987654321.dkr.ecr.eu-west-2.amazonaws.com';
const third = '333344445555.dkr.ecr.eu-west-2.amazonaws.com';
const unix = here.format !== 'zip';

// users is a user's config.json, with logins and settings of other registries.
const users = {
  auths: { 'ghcr.io': { auth: secrets.login }, [`https://${other}`]: { auth: secrets.login } },
  credHelpers: { 'gcr.io': 'gcloud', [third]: 'ecr-login' },
  currentContext: 'remote',
  proxies: { default: { httpProxy: 'http://proxy.corp' } },
};

async function jobOf(t, env = {}) {
  return new Job(t, { ECR_OIDC_MIRROR: (await mirror(t)).url, ...env });
}

// seeded writes the user's Docker directory and returns its files.
function seeded(job) {
  job.write('home/.docker/config.json', JSON.stringify(users, null, '\t') + '\n', { mode: 0o600 });
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

// tree is everything below a folder: contents, modes and links, by name.
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

test("job: a folder of this job's own, seeded from the user's, which is not touched", async (t) => {
  const job = await jobOf(t);
  const before = seeded(job);
  const step = await job.main({ registries: `${host}\n${other}=spoke\n${third}`, 'role-to-assume': 'ci' });
  good(step.ran);
  const folder = job.env.DOCKER_CONFIG;
  assert.strictEqual(path.dirname(folder), job.temp);
  if (unix) {
    assert.strictEqual(fs.statSync(folder).mode & 0o777, 0o700);
  }
  assert.deepStrictEqual(job.docker(), {
    auths: { 'ghcr.io': users.auths['ghcr.io'] },
    credHelpers: { 'gcr.io': 'gcloud', [third]: 'ecr-oidc', [host]: 'ecr-oidc', [other]: 'ecr-oidc' },
    currentContext: 'remote',
    proxies: users.proxies,
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
  const job = await jobOf(t);
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
  const job = await jobOf(t);
  job.write('home/.docker/ecr-oidc.yaml', "# the runner's\ndefault:\n  role: usual\n");
  good((await job.main({ registries: `${host}=ci` })).ran);
  assert.match(
    settings(job),
    /^# the runner's\ndefault:\n {2}role: usual\naccounts:\n {2}"123456789012":\n {4}role: "ci"\n$/,
  );
  assert.ok(!('ECR_OIDC_CONFIG' in job.env));

  const named = await jobOf(t);
  const file = named.write('checkout/ecr-oidc.yaml', 'default:\n  role: usual\n');
  named.env.ECR_OIDC_CONFIG = file;
  const step = await named.main({ registries: `${host}=ci` });
  good(step.ran);
  assert.strictEqual(named.env.ECR_OIDC_CONFIG, path.join(named.env.DOCKER_CONFIG, 'ecr-oidc.yaml'));
  assert.match(settings(named), /role: usual\n[^]*role: "ci"\n/);
  good(await step.post());
  assert.strictEqual(named.env.ECR_OIDC_CONFIG, file);
  assert.strictEqual(fs.readFileSync(file, 'utf8'), 'default:\n  role: usual\n');

  const missing = await jobOf(t, { ECR_OIDC_CONFIG: '/no/such/file' });
  bad(
    (await missing.main({ registries: host })).ran,
    /ECR_OIDC_CONFIG is \/no\/such\/file, which does not exist$/,
  );
  assert.deepStrictEqual(fs.readdirSync(missing.temp), []); // the new directory, which may contain logins, is removed
});

test('job: DOCKER_CONFIG and BUILDX_CONFIG of the user, and a user without a home directory', async (t) => {
  const job = await jobOf(t, { BUILDX_CONFIG: '/var/buildx' });
  job.env.DOCKER_CONFIG = job.folder('mine');
  job.write('mine/config.json', '{"credsStore": "desktop"}');
  const step = await job.main({ registries: host });
  good(step.ran);
  assert.deepStrictEqual(job.docker(), { credsStore: 'desktop', credHelpers: { [host]: 'ecr-oidc' } });
  assert.strictEqual(job.env.BUILDX_CONFIG, '/var/buildx');
  good(await step.post());
  assert.strictEqual(job.env.DOCKER_CONFIG, path.join(job.dir, 'mine'));

  const homeless = await jobOf(t, { HOME: '', USERPROFILE: '' });
  const without = await homeless.main({ registries: host });
  good(without.ran);
  assert.deepStrictEqual(homeless.docker().credHelpers, {
    ...homeless.docker().credHelpers,
    [host]: 'ecr-oidc',
  });
  good(await without.post());
});

test('job: another directory with the same prefix is not used', async (t) => {
  const job = await jobOf(t);
  const mine = path.join(job.temp, 'docker-credential-ecr-oidc-mine');
  fs.mkdirSync(mine);
  job.env.DOCKER_CONFIG = mine;
  good((await job.main({ registries: host })).ran);
  assert.notStrictEqual(job.env.DOCKER_CONFIG, mine);
  assert.deepStrictEqual(fs.readdirSync(mine), []);
});

test("user: the user's config.json is changed and restored", async (t) => {
  const job = await jobOf(t);
  const before = seeded(job);
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
  assert.deepStrictEqual(job.docker(), users);
  assert.deepStrictEqual(tree(path.join(job.home, '.docker')), before);
  assert.deepStrictEqual(fs.readdirSync(job.temp), []);
  assert.strictEqual(job.env.ECR_OIDC_CONFIG, '');
});

test('user: previous entries and later changes stay; a new file is removed', async (t) => {
  const ours = await jobOf(t);
  ours.write(
    'home/.docker/config.json',
    JSON.stringify({ credHelpers: { [host]: 'ecr-oidc', [other]: 'ecr-login' } }),
  );
  const step = await ours.main({ 'docker-config': 'user', registries: `${host}\n${other}\n${third}` });
  good(step.ran);
  const file = path.join(ours.home, '.docker', 'config.json');
  fs.writeFileSync(
    file,
    JSON.stringify({
      ...ours.docker(),
      auths: { 'ghcr.io': {} },
      credHelpers: { ...ours.docker().credHelpers, [third]: 'mine' },
    }),
  );
  good(await step.post());
  assert.deepStrictEqual(ours.docker(), {
    credHelpers: { [host]: 'ecr-oidc', [other]: 'ecr-login', [third]: 'mine' },
    auths: { 'ghcr.io': {} },
  });

  const fresh = await jobOf(t);
  const only = await fresh.main({ 'docker-config': 'user', registries: `${host}=ci\n${other}=spoke` });
  good(only.ran);
  good(await only.post());
  assert.ok(!fs.existsSync(path.join(fresh.home, '.docker', 'config.json')));
});

test('user after job is an error; job after user works', async (t) => {
  const job = await jobOf(t);
  good((await job.main({ registries: host })).ran);
  bad(
    (await job.main({ 'docker-config': 'user', registries: host })).ran,
    /docker-config is user, but job in an earlier step of this job; /,
  );

  const turned = await jobOf(t);
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
      const job = await jobOf(t);
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
  const job = await jobOf(t);
  const before = seeded(job);
  const step = await job.main({ 'docker-config': 'user', registries: `${third}\n${host}=no role!` });
  bad(step.ran, /which is not a role/);
  assert.strictEqual(job.docker().credHelpers[third], 'ecr-oidc');
  good(await step.post('failure'));
  assert.deepStrictEqual(tree(path.join(job.home, '.docker')), before);
});

test('inputs cannot inject variables, PATH directories or workflow commands', async (t) => {
  const job = await jobOf(t);
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
  const job = await jobOf(t);
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
  const job = await jobOf(t, { RUNNER_TEMP: '', RUNNER_TOOL_CACHE: '' });
  bad((await job.main({ registries: host })).ran, /RUNNER_TEMP is not set: this is not a step of an action$/);
});

// The notes of failed logins that the helper writes.
const uid = process.getuid ? `-${process.getuid()}` : '';
const notes = (job) => path.join(job.temp, `ecr-oidc-failures${uid}.txt`);

// note writes the notes of failed logins to two registries.
function note(job, text = 'ecr-oidc: refused') {
  fs.writeFileSync(notes(job), `${host} ${text}\n${other} ${text}\n${host} ${text}\n`, { mode: 0o600 });
}

test("summary: doctor's output after a failed login in a failed job, once", async (t) => {
  const job = await jobOf(t);
  const first = await job.main({ registries: host });
  const second = await job.main({ registries: other });
  good(second.ran);
  note(job);
  const failed = await second.post('failure');
  good(failed);
  assert.match(
    failed.summary,
    /^### docker-credential-ecr-oidc doctor\n\n```text\n\S+, \S+: refused\n\n[^]+\n```\n$/,
  );
  for (const registry of [host, other]) {
    // nothing has been undone yet
    assert.ok(failed.summary.includes(`\n${registry}\n`), failed.summary);
  }
  assert.match(failed.output, /a login failed; doctor's output is in the job summary\n/);
  const last = await first.post('failure');
  good(last);
  assert.strictEqual(last.summary, '');
  assert.deepStrictEqual(fs.readdirSync(job.temp), []);
});

test('summary: not without a failed login, and not after a successful or cancelled job', async (t) => {
  for (const [status, failed, line] of [
    ['failure', false, /^no later step failed to log in to ECR\n$/],
    ['success', false, /^no later step failed to log in to ECR\n$/],
    ['success', true, new RegExp(`^the job did not fail, but a login did: ${host}: refused\n$`)],
    ['cancelled', true, /^the job did not fail/],
    ['', true, /^the job did not fail/],
  ]) {
    const job = await jobOf(t);
    const step = await job.main({ registries: host });
    if (failed) {
      note(job);
    }
    const ran = await step.post(status);
    good(ran);
    assert.strictEqual(ran.summary, '');
    assert.match(ran.output, line);
    assert.deepStrictEqual(fs.readdirSync(job.temp), []);
  }
});

test('post: nothing to undo after invalid inputs', async (t) => {
  const job = await jobOf(t);
  const step = await job.main({ registries: '' });
  bad(step.ran, /registries is empty/);
  const ran = await step.post('failure');
  good(ran);
  assert.deepStrictEqual([ran.output, ran.summary], ['', '']);
});

// These tests replace the helper with a shell script.
const script = { skip: unix ? false : 'the test helper is a shell script' };

function replace(job, text) {
  fs.writeFileSync(path.join(job.paths[0], here.binary), `#!/bin/sh\n${text}\n`);
}

test('post: output cannot close the code block or inject commands', script, async (t) => {
  const job = await jobOf(t);
  const step = await job.main({ registries: host });
  note(job, 'a ````` ##[error]b');
  replace(job, 'printf \'````\\n::error::x\\n\\033[31m<b>\\n\'; echo "no summary" >&2; exit 1');
  const ran = await step.post('failure');
  good(ran);
  assert.strictEqual(
    ran.summary,
    '### docker-credential-ecr-oidc doctor\n\n``````text\n' +
      `${host}, ${other}: a \`\`\`\`\` # #[error]b\n\n` +
      '````\n: :error::x\n [31m<b>\n``````\n',
  );
});

test('post: never fails the job', script, async (t) => {
  for (const [text, message] of [
    ['echo "ecr-oidc: unknown command" >&2; exit 2', /: refused\n\ndoctor: unknown command\n/],
    ['exit 3', /: refused\n\ndoctor: exit status 3\n/],
    ['echo x; /bin/rm -rf "$DOCKER_CONFIG"', /: refused\n\nx\n/],
  ]) {
    const job = await jobOf(t);
    const step = await job.main({ registries: host });
    note(job);
    replace(job, text);
    const ran = await step.post('failure');
    good(ran);
    assert.match(ran.summary, message);
    assert.deepStrictEqual(fs.readdirSync(job.temp), []);
  }
  const gone = await jobOf(t);
  const first = await gone.main({ registries: host });
  fs.rmSync(gone.env.DOCKER_CONFIG, { recursive: true });
  assert.match(
    good(await first.post('failure')).output,
    /^::warning title=\S+::reporting the failed logins: ENOENT/m,
  );

  // A link in place of the notes could show another file.
  const linked = await jobOf(t);
  const second = await linked.main({ registries: host });
  fs.symlinkSync(linked.write('aim', `${host} ${secrets.login}\n`), notes(linked));
  const planted = good(await second.post('failure'));
  assert.match(
    planted.output,
    /^::warning title=\S+::reporting the failed logins: it is not a regular file$/m,
  );
  assert.deepStrictEqual([planted.summary, fs.readdirSync(linked.temp)], ['', []]);

  const user = await jobOf(t);
  const step = await user.main({ 'docker-config': 'user', registries: host });
  replace(user, 'echo "ecr-oidc: the disk is gone" >&2; exit 1');
  const ran = await step.post('success');
  good(ran);
  assert.match(
    ran.output,
    /^::warning title=docker-credential-ecr-oidc::restoring .*config\.json: the disk is gone$/m,
  );

  const broken = await jobOf(t);
  const other = await broken.main({ registries: host });
  other.state.job = '{';
  good(await other.post('failure'));
});

// The debug log that the helper writes with RUNNER_DEBUG=1.
const debugLog = (job) => path.join(job.temp, `ecr-oidc-debug${uid}.log`);

test('debug log: shown once, in a group, without workflow commands, and removed', async (t) => {
  const job = await jobOf(t);
  const first = await job.main({ registries: host });
  const second = await job.main({ registries: other });
  const written = [
    '12:00:00 source github',
    '::error::x',
    ' ::set-env name=A::b',
    '##[error]y',
    '\u001b[31mred',
    '::stop-commands::z',
    '::z::',
    'last',
  ];
  fs.writeFileSync(debugLog(job), written.join('\n'), { mode: 0o600 });
  const ran = good(await second.post());
  const lines = ran.output.replace(/^no later step .*\n/, '').split('\n');
  const [, token] = /^::stop-commands::(\S{32,})$/.exec(lines[1]) || [];
  assert.ok(token, ran.output);
  assert.deepStrictEqual(lines, [
    '::group::docker-credential-ecr-oidc: debug log (RUNNER_DEBUG=1)',
    `::stop-commands::${token}`,
    '12:00:00 source github',
    ': :error::x',
    ': :set-env name=A::b',
    '# #[error]y',
    ' [31mred',
    ': :stop-commands::z',
    ': :z::',
    'last',
    `::${token}::`,
    '::endgroup::',
    '',
  ]);
  assert.ok(!fs.existsSync(debugLog(job)));
  assert.strictEqual(good(await first.post()).output, '');

  fs.writeFileSync(debugLog(job), 'again\n', { mode: 0o600 });
  const again = good(await first.post());
  assert.match(again.output, /\nagain\n::\S+::\n::endgroup::\n$/);
  assert.ok(!again.output.includes(token), 'each group has another token');
});

const planted = { skip: unix ? false : 'Windows has no such files' };

test('debug log: only a regular file of this user, up to the maximum size', planted, async (t) => {
  const maxSize = (1 << 20) + (64 << 10);
  const cases = {
    symlink: [(file, aim) => fs.symlinkSync(aim, file), /it is not a regular file$/],
    'dangling symlink': [(file) => fs.symlinkSync('/no/such/file', file), /it is not a regular file$/],
    'hard link': [(file, aim) => fs.linkSync(aim, file), /it has more than one hard link$/],
    FIFO: [(file) => childProcess.execFileSync('mkfifo', [file]), /it is not a regular file$/],
    directory: [(file) => fs.mkdirSync(file), /it is not a regular file$/],
    'too large': [(file) => fs.writeFileSync(file, 'x'.repeat(maxSize + 1)), /larger than 1114112 bytes$/],
  };
  if (process.getuid() === 0) {
    const another = (file) => {
      fs.writeFileSync(file, 'x');
      fs.chownSync(file, 65534, 65534);
    };
    cases['owned by another user'] = [another, /it is owned by another user$/];
  }
  for (const [what, [plant, message]] of Object.entries(cases)) {
    const job = await jobOf(t);
    const step = await job.main({ registries: host });
    const aim = job.write('aim', `${secrets.login}\n`, { mode: 0o600 });
    plant(debugLog(job), aim);
    const ran = good(await step.post());
    const warnings = ran.output
      .split('\n')
      .filter((line) => /^::warning title=\S+::cannot show the debug log /.test(line));
    assert.strictEqual(warnings.length, 1, `${what}: ${ran.output}`);
    assert.match(warnings[0], message, what);
    assert.ok(!/::group|::stop-commands|xxx/.test(ran.output), what);
    assert.strictEqual(fs.readFileSync(aim, 'utf8'), `${secrets.login}\n`);
    if (what !== 'directory') {
      assert.throws(() => fs.lstatSync(debugLog(job)), { code: 'ENOENT' }, what);
    }
  }

  const job = await jobOf(t);
  const step = await job.main({ registries: host });
  fs.writeFileSync(debugLog(job), 'x'.repeat(maxSize));
  assert.match(good(await step.post()).output, /^x{1114112}$/m);
});
