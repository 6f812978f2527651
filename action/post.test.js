'use strict';

// Tests of the post step: the summary of failed logins and the debug log.

const assert = require('node:assert');
const childProcess = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { Job, bad, good, here, mirror, secrets } = require('./testdata/harness.js');

const host = '123456789012.dkr.ecr.eu-west-2.amazonaws.com';
const other = '210987654321.dkr.ecr.eu-west-2.amazonaws.com';
const unix = here.format !== 'zip';

async function newJob(t, env = {}) {
  return new Job(t, { ECR_OIDC_MIRROR: (await mirror(t)).url, ...env });
}

// The file in which the helper records failed logins.
const uid = process.getuid ? `-${process.getuid()}` : '';
const failuresFile = (job) => path.join(job.temp, `ecr-oidc-failures${uid}.txt`);

// writeFailures records failed logins to two registries.
function writeFailures(job, text = 'ecr-oidc: refused') {
  fs.writeFileSync(failuresFile(job), `${host} ${text}\n${other} ${text}\n${host} ${text}\n`, {
    mode: 0o600,
  });
}

test("summary: doctor's output after a failed login in a failed job, once", async (t) => {
  const job = await newJob(t);
  const first = await job.main({ registries: host });
  const second = await job.main({ registries: other });
  good(second.ran);
  writeFailures(job);
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
    const job = await newJob(t);
    const step = await job.main({ registries: host });
    if (failed) {
      writeFailures(job);
    }
    const ran = await step.post(status);
    good(ran);
    assert.strictEqual(ran.summary, '');
    assert.match(ran.output, line);
    assert.deepStrictEqual(fs.readdirSync(job.temp), []);
  }
});

test('post: nothing to undo after invalid inputs', async (t) => {
  const job = await newJob(t);
  const step = await job.main({ registries: '' });
  bad(step.ran, /registries is empty/);
  const ran = await step.post('failure');
  good(ran);
  assert.deepStrictEqual([ran.output, ran.summary], ['', '']);
});

// These tests replace the helper with a shell script.
const script = { skip: unix ? false : 'the test helper is a shell script' };

function replaceHelper(job, text) {
  fs.writeFileSync(path.join(job.paths[0], here.binary), `#!/bin/sh\n${text}\n`);
}

test('post: output cannot close the code block or inject commands', script, async (t) => {
  const job = await newJob(t);
  const step = await job.main({ registries: host });
  writeFailures(job, 'a ````` ##[error]b');
  replaceHelper(job, 'printf \'````\\n::error::x\\n\\033[31m<b>\\n\'; echo "no summary" >&2; exit 1');
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
    const job = await newJob(t);
    const step = await job.main({ registries: host });
    writeFailures(job);
    replaceHelper(job, text);
    const ran = await step.post('failure');
    good(ran);
    assert.match(ran.summary, message);
    assert.deepStrictEqual(fs.readdirSync(job.temp), []);
  }
  const gone = await newJob(t);
  const first = await gone.main({ registries: host });
  fs.rmSync(gone.env.DOCKER_CONFIG, { recursive: true });
  assert.match(
    good(await first.post('failure')).output,
    /^::warning title=\S+::reporting the failed logins: ENOENT/m,
  );

  // A link in place of the file could show another file.
  const linked = await newJob(t);
  const second = await linked.main({ registries: host });
  fs.symlinkSync(linked.write('aim', `${host} ${secrets.login}\n`), failuresFile(linked));
  const planted = good(await second.post('failure'));
  assert.match(
    planted.output,
    /^::warning title=\S+::reporting the failed logins: it is not a regular file$/m,
  );
  assert.deepStrictEqual([planted.summary, fs.readdirSync(linked.temp)], ['', []]);

  const user = await newJob(t);
  const step = await user.main({ 'docker-config': 'user', registries: host });
  replaceHelper(user, 'echo "ecr-oidc: the disk is gone" >&2; exit 1');
  const ran = await step.post('success');
  good(ran);
  assert.match(
    ran.output,
    /^::warning title=docker-credential-ecr-oidc::restoring .*config\.json: the disk is gone$/m,
  );

  const broken = await newJob(t);
  const other = await broken.main({ registries: host });
  other.state.job = '{';
  good(await other.post('failure'));
});

// The debug log that the helper writes with RUNNER_DEBUG=1.
const debugLog = (job) => path.join(job.temp, `ecr-oidc-debug${uid}.log`);

test('debug log: shown once, in a group, without workflow commands, and removed', async (t) => {
  const job = await newJob(t);
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
    const job = await newJob(t);
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

  const job = await newJob(t);
  const step = await job.main({ registries: host });
  fs.writeFileSync(debugLog(job), 'x'.repeat(maxSize));
  assert.match(good(await step.post()).output, /^x{1114112}$/m);
});
