'use strict';

// Tests of the input check with the emulated AWS and GitHub, and of what the step and the post step
// report about a login that failed.

const assert = require('node:assert');
const fs = require('node:fs');
const path = require('node:path');
const test = require('node:test');
const { restriction } = require('./check.js');
const { bad, good, here, startEmulator } = require('./testdata/harness.js');

const host = '123456789012.dkr.ecr.eu-west-2.amazonaws.com';
const region2 = '123456789012.dkr.ecr.us-east-1.amazonaws.com';
const other = '210987654321.dkr.ecr.eu-west-2.amazonaws.com';
const arn = 'arn:aws:iam::123456789012:role/ci';
const unix = here.format !== 'zip';
const login = ['oidc token', 'sts AssumeRoleWithWebIdentity', 'ecr GetAuthorizationToken'];

// event writes the event of a pull request from a repository, and returns the job's variables.
function event(job, from, name = 'pull_request') {
  const head = { repo: from ? { full_name: from } : null };
  const text = JSON.stringify({ pull_request: { head, base: { repo: { full_name: 'acme/app' } } } });
  return { GITHUB_EVENT_NAME: name, GITHUB_EVENT_PATH: job.write('event.json', text) };
}

// annotations returns the warnings and errors of a step.
function annotations(ran) {
  return [...ran.output.matchAll(/^::(warning|error) title=\S+?::(.*)$/gm)].map(
    ([, level, text]) => `${level}: ${text}`,
  );
}

// noTemporaryFile asserts that messages name inputs, and no file of the action.
function noTemporaryFile(job, { output, summary }) {
  const lines = output.split('\n').filter((line) => /^::|: logged in/.test(line));
  for (const text of [...lines, summary]) {
    assert.ok(!text.includes('ecr-oidc.yaml'), text);
  }
}

test("check: a login is cached, so Docker's first request makes no request", async (t) => {
  const { aws, start } = await startEmulator(t);
  const job = await start();
  const step = await job.main({
    registries: `${host}\nhttps://${region2}/`,
    'role-to-assume': 'ci',
    check: '',
  });
  good(step.ran);
  assert.deepStrictEqual((await aws.calls()).sort(), [...login, ...login.slice(1)].sort()); // one token for both
  for (const registry of [host, region2]) {
    const line = new RegExp(
      `^${registry}: logged in with role ci in 123456789012 \\(from role-to-assume\\), source github, ` +
        'subject "repo:acme/app:ref:refs/heads/main", until 20\\S+$',
      'm',
    );
    assert.match(step.ran.output, line);
    assert.match(job.get(registry).output, /"Username":"AWS"/);
  }
  assert.deepStrictEqual(await aws.calls(), []);
  assert.deepStrictEqual(annotations(step.ran), []);
  noTemporaryFile(job, step.ran);

  // The post step makes no request.
  const ran = good(await step.post('failure'));
  assert.deepStrictEqual(await aws.calls(), []);
  assert.strictEqual(ran.summary, '');
  assert.strictEqual(ran.output, 'no later step failed to log in to ECR\n');
});

test("check: a refusal fails the step, with an annotation and doctor's output", async (t) => {
  const { start } = await startEmulator(t);
  for (const check of ['auto', 'true']) {
    const job = await start({ Event: 'pull_request' });
    const step = await job.main({ registries: `${host}\n${region2}`, 'role-to-assume': 'ci', check });
    const refusal = new RegExp(
      '::logging in to 123456789012\\.dkr\\.ecr\\.eu-west-2\\S+, 123456789012\\.dkr\\.ecr\\.us-east-1\\S+: ' +
        'AWS refused role ci in 123456789012 \\(from role-to-assume\\) for "repo:acme/app:pull_request", .*: ' +
        'AccessDenied; the role does not exist, ' +
        'or its trust policy does not admit this exact subject and audience$',
    );
    bad(step.ran, refusal);
    assert.match(
      step.ran.summary,
      new RegExp(
        '^### docker-credential-ecr-oidc doctor\n\n```text\n' +
          '\\S+, \\S+: AWS refused role ci in 123456789012 \\(from role-to-assume\\) [^]+\n\n[^]+\n```\n$',
      ),
    );
    assert.match(step.ran.summary, /subject +repo:acme\/app:pull_request|"repo:acme\/app:pull_request"/);
    for (const registry of [host, region2]) {
      assert.ok(step.ran.summary.split('\n\n').slice(2).join().includes(registry), step.ran.summary);
    }
    noTemporaryFile(job, step.ran);
    // Docker is configured for the steps that run nevertheless.
    assert.strictEqual(job.docker().credHelpers[host], 'ecr-oidc');
    const ran = good(await step.post('failure'));
    assert.deepStrictEqual([ran.summary, ran.output], ['', 'no later step failed to log in to ECR\n']);
    assert.ok(!fs.readdirSync(job.temp).some((name) => name.startsWith('docker-credential-')));
  }
});

test('check: messages name the line of registries', async (t) => {
  const { start } = await startEmulator(t);
  const job = await start();
  const step = await job.main({
    registries: `${other}=arn:aws:iam::210987654321:role/none\n${host}=unknown`,
    audience: 'sts.amazonaws.com',
    check: 'auto',
  });
  assert.notStrictEqual(step.ran.code, 0);
  const errors = annotations(step.ran);
  assert.strictEqual(errors.length, 2, step.ran.output);
  assert.match(
    errors[0],
    /^error: logging in to 210987654321\S+: AWS refused role none in 210987654321 \(from line 1 of registries\) /,
  );
  assert.match(
    errors[1],
    /^error: logging in to 123456789012\S+: AWS refused role unknown in 123456789012 \(from line 2 of registries\) /,
  );
  noTemporaryFile(job, step.ran);

  // The role of an earlier call, and a role in the user's file.
  const users = await start();
  users.write('home/.docker/ecr-oidc.yaml', 'accounts:\n  "210987654321":\n    role: "mine"\n');
  bad(
    (await users.main({ registries: host, 'role-to-assume': 'first', check: 'auto' })).ran,
    /\(from role-to-assume\)/,
  );
  bad(
    (await users.main({ registries: other, check: 'auto' })).ran,
    /AWS refused role mine in 210987654321 \(from role in ecr-oidc.yaml\) /,
  );
  const second = await users.main({ registries: `${other}=none`, check: 'auto' });
  bad(second.ran, /AWS refused role none in 210987654321 \(from line 1 of registries\) /);
  users.get(host);
  assert.match(
    (await second.post('failure')).summary,
    new RegExp(`\n${host}: AWS refused role first in 123456789012 \\(from role-to-assume\\) `),
  );
});

test('check: other failures fail the step', async (t) => {
  const { aws, start } = await startEmulator(t);
  const job = await start();
  bad(
    (await job.main({ registries: host, 'role-to-assume': 'ci', audience: 'elsewhere', check: 'auto' })).ran,
    new RegExp(
      'InvalidIdentityToken.*; add the audience to the client IDs of the IAM OIDC provider, ' +
        'or set audience to one of its client IDs$',
    ),
  );
  const noToken = await start({ NoIDToken: true });
  bad(
    (await noToken.main({ registries: host, 'role-to-assume': 'ci', check: 'auto' })).ran,
    new RegExp(
      "::logging in to \\S+: finding the GitHub job's OIDC token: ACTIONS_ID_TOKEN_REQUEST_URL is not set; " +
        'give the job `permissions: \\{id-token: write\\}`',
    ),
  );
  const notAllowed = await start();
  bad(
    (
      await notAllowed.main({
        registries: `${host}=ci`,
        'allowed-account-ids': '210987654321',
        check: 'auto',
      })
    ).ran,
    /::logging in to \S+: .* the registry's account is not in allowed-account-ids\b(?!.*ecr-oidc\.yaml)/,
  );
  await aws.call('fail?service=sts', { Status: 503, Times: 100 });
  const down = await start();
  assert.notStrictEqual((await down.main({ registries: `${host}=ci`, check: 'auto' })).ran.code, 0);
});

test('check: a missing token in a pull request from a fork or from Dependabot', async (t) => {
  const { start } = await startEmulator(t);
  for (const [from, name, actor, why] of [
    ['mallory/app', 'pull_request', 'mallory', 'the pull request is from a fork'],
    ['', 'pull_request', 'mallory', 'the pull request is from a fork'],
    ['acme/app', 'pull_request', 'dependabot[bot]', 'Dependabot triggered it'],
    ['acme/app', 'pull_request', 'jane', ''],
    ['mallory/app', 'pull_request_target', 'mallory', ''],
  ]) {
    const job = await start({ NoIDToken: true });
    Object.assign(job.env, event(job, from, name), { GITHUB_ACTOR: actor });
    assert.strictEqual(restriction(job.env), why);
    const { ran } = await job.main({ registries: host, 'role-to-assume': 'ci', check: 'auto' });
    if (why === '') {
      bad(ran, /ACTIONS_ID_TOKEN_REQUEST_URL is not set/);
      continue;
    }
    good(ran);
    assert.deepStrictEqual(annotations(ran), [
      `warning: cannot log in to ${host} yet: the job has no OIDC token, because ${why}`,
    ]);
    assert.strictEqual(ran.summary, '');
    bad(
      (await job.main({ registries: host, 'role-to-assume': 'ci', check: 'true' })).ran,
      new RegExp(`: the job has no OIDC token, because ${why}$`),
    );
    // The role's secret is empty, too.
    const another = await start({ NoIDToken: true }, { ...event(job, from, name), GITHUB_ACTOR: actor });
    const without = await another.main({ registries: host, check: 'auto' });
    assert.match(
      annotations(good(without.ran))[0] + ';',
      new RegExp(`if the role is in a secret, the secret is empty, because ${why};`),
    );
  }
  assert.strictEqual(restriction({}), '');
  assert.strictEqual(restriction({ GITHUB_EVENT_PATH: '/no/such/file' }), '');
});

test('check: a registry without a role is a warning, which names the inputs', async (t) => {
  const { aws, start } = await startEmulator(t);
  const job = await start();
  const { ran } = await job.main({ registries: host, check: 'auto' });
  good(ran);
  assert.deepStrictEqual(annotations(ran), [
    `warning: cannot log in to ${host} yet: no role is set; ` +
      'set role-to-assume, or append =ROLE to line 1 of registries; ' +
      'if the role is in a secret, the secret may be unset; ' +
      'a later step may also set the role or AWS keys',
  ]);
  assert.deepStrictEqual(await aws.calls(), []);
  assert.strictEqual(ran.summary, '');
  // A later step sets the role.
  assert.match(job.get(host, { ECR_OIDC_ROLE: 'ci' }).output, /"Username":"AWS"/);

  bad(
    (await job.main({ registries: `public.ecr.aws=${arn}\n\n${host}`, check: 'true' })).ran,
    /: no role is set; set role-to-assume, or append =ROLE to line 3 of registries; /,
  );
  bad(
    (await job.main({ 'account-ids': '123456789012', 'aws-region': 'eu-west-2', check: 'true' })).ran,
    /: no role is set; set role-to-assume; if /,
  );
  const open = await (await start()).main({ registries: 'public.ecr.aws', check: 'auto' });
  assert.deepStrictEqual(annotations(good(open.ran)), [
    'warning: access to public.ecr.aws is anonymous because no role is set for it: set role-to-assume',
  ]);
  bad(
    (await (await start()).main({ registries: 'public.ecr.aws', check: 'true' })).ran,
    new RegExp(
      ': no role is set; set role-to-assume, or append =ROLE to line 1 of registries; ' +
        'without a role, access to this registry is anonymous$',
    ),
  );

  // AWS keys suffice. A role in a variable counts, and a message names the variable.
  const keys = await start({}, { AWS_ACCESS_KEY_ID: 'AKIAIOSFODNN7EXAMPLE', AWS_SECRET_ACCESS_KEY: 'x' });
  bad((await keys.main({ registries: host, check: 'auto' })).ran, /AWS refused a password for /); // with the wrong keys
  const variable = await start({}, { ECR_OIDC_ROLE: 'unknown', ECR_OIDC_ROEL: 'x' });
  const { ran: refused } = await variable.main({ registries: host, check: 'auto' });
  assert.match(annotations(refused)[0], /^warning: .*ECR_OIDC_ROEL/);
  bad(refused, /AWS refused role unknown in 123456789012 \(from ECR_OIDC_ROLE\) /);
});

test('check: false makes no request', async (t) => {
  const { aws, start } = await startEmulator(t);
  const job = await start();
  good((await job.main({ registries: `${host}=unknown`, check: 'false' })).ran);
  assert.deepStrictEqual(await aws.calls(), []);
  bad(
    (await job.main({ registries: host, check: 'yes' })).ran,
    /::check is "yes"; allowed are auto, true and false$/,
  );
});

test('check and docker-login share the login', async (t) => {
  const { aws, start } = await startEmulator(t);
  const job = await start();
  const step = await job.main({
    registries: host,
    'role-to-assume': 'ci',
    'docker-login': 'true',
    check: 'auto',
  });
  good(step.ran);
  assert.deepStrictEqual(await aws.calls(), login);
  good(await step.post());
  bad(
    (await job.main({ registries: `${host}=unknown`, 'docker-login': 'true', check: 'false' })).ran,
    /::logging in to \S+: AWS refused role unknown in 123456789012 \(from line 1 of registries\) /,
  );
});

const script = { skip: unix ? false : 'the test helper is a shell script' };

// older replaces the helper by one that has no command check, as the first releases.
function older(job) {
  const file = path.join(job.tools, 'docker-credential-ecr-oidc', '0.1.0', process.arch, here.binary);
  fs.renameSync(file, `${file}-newer`);
  fs.writeFileSync(
    file,
    '#!/bin/sh\n' +
      `case $1 in check) printf 'ecr-oidc: unknown command "check"\\n\\nUsage:\\n' >&2; exit 2;; esac\n` +
      `exec "${file}-newer" "$@"\n`,
    { mode: 0o755 },
  );
  fs.writeFileSync(`${path.dirname(file)}.complete`, '');
}

test('check: a release without the command works', script, async (t) => {
  const { aws, start } = await startEmulator(t);
  const job = await start();
  good((await job.main({ registries: host })).ran);
  older(job);
  const { ran } = await job.main({ registries: host, 'role-to-assume': 'ci', check: 'auto' });
  good(ran);
  assert.match(
    ran.output,
    new RegExp(
      '^this release has no command check, so the logins were not checked; ' +
        'to check them, set version to a later release$',
      'm',
    ),
  );
  assert.deepStrictEqual([annotations(ran), await aws.calls()], [[], []]);
  assert.match(
    annotations(good((await job.main({ registries: host, check: 'true' })).ran))[0],
    /^warning: this release has no command check/,
  );
});

test('post: a summary if a get failed in this job', async (t) => {
  const { aws, start } = await startEmulator(t);
  const job = await start();
  const first = await job.main({ registries: host, check: 'auto' });
  const second = await job.main({ registries: `${region2}=ci` });
  for (const role of ['unknown', 'unknown', 'none']) {
    assert.strictEqual(job.get(host, { ECR_OIDC_ROLE_123456789012: role }).code, 1);
  }
  const failed = good(await second.post('failure'));
  // The refusals with the variables of the steps, each once, and doctor with those of this step.
  const lines = failed.summary.split('\n');
  assert.match(
    lines[3],
    new RegExp(
      `^${host}: AWS refused role unknown in 123456789012 \\(from ECR_OIDC_ROLE_123456789012\\) .*AccessDenied`,
    ),
  );
  assert.match(lines[4], new RegExp(`^${host}: AWS refused role none in 123456789012 `));
  assert.strictEqual(lines[5], '');
  assert.ok(lines.length > 8, failed.summary);
  assert.match(failed.output, /^a login failed; doctor's output is in the job summary$/m);
  noTemporaryFile(job, failed);
  const last = good(await first.post('failure'));
  assert.deepStrictEqual([last.summary, last.output], ['', '']);
  assert.ok(
    !fs.readdirSync(job.temp).some((name) => /failures|docker-credential/.test(name)),
    fs.readdirSync(job.temp).join(),
  );

  // The job did not fail: one line, and no request.
  const repeated = await start();
  const step = await repeated.main({ registries: host });
  repeated.get(host, { ECR_OIDC_ROLE: 'unknown' });
  await aws.calls();
  const ran = good(await step.post('success'));
  assert.match(ran.output, /^the job did not fail, but a login did: \S+: AWS refused role unknown .*\n$/);
  assert.deepStrictEqual([ran.summary, await aws.calls()], ['', []]);
});
