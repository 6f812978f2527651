'use strict';

const assert = require('node:assert');
const test = require('node:test');
const { groups, read, registries, registryOf } = require('./inputs.js');

const host = '123456789012.dkr.ecr.eu-west-2.amazonaws.com';
const host2 = '123456789012.dkr.ecr.us-east-1.amazonaws.com';
const other = '210987654321.dkr.ecr.eu-west-2.amazonaws.com';

const inputs = (given) => {
  const all = { registries: host, version: '0.1.0', 'docker-config': 'job', ...given };
  return Object.fromEntries(
    Object.entries(all).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value]),
  );
};

test('registries: one per line, with or without a role', () => {
  const arn = 'arn:aws:iam::210987654321:role/a=b';
  assert.deepStrictEqual(registries(`\n ${host} \r\n\n${other} = ${arn}\npublic.ecr.aws=x\n`, 'ci'), [
    { host, role: 'ci', from: 'role-to-assume', line: 2 },
    { host: other, role: arn, from: 'line 4 of registries', line: 4 },
    { host: 'public.ecr.aws', role: 'x', from: 'line 5 of registries', line: 5 },
  ]);
  assert.deepStrictEqual(
    registries(`${host}\n${host2}\n${host}`, '').map(({ host, role }) => [host, role]),
    [
      [host, ''],
      [host2, ''],
    ],
  );
});

for (const [name, text, message] of [
  ['empty', '', /^registries is empty; set it to one registry per line/],
  ['blank lines', ' \n\t\n', /^registries is empty/],
  ['no registry', `${host}\n=ci`, /^registries, line 2: "=ci" has no registry before "="$/],
  [
    'no role',
    `\n${host}=`,
    /^registries, line 2: ".*=" has no role after "="; check that its variable or secret is set$/,
  ],
  [
    'two on one line',
    `${host} ${other}`,
    /^registries, line 1: .* contains a space; use one line per registry$/,
  ],
  ['a control character', `${host}\u0007=ci`, /^registries, line 1: it contains a control character$/],
  [
    'two roles in one account',
    `${host}=a\n${host2}=b`,
    /^registries, line 2: account 123456789012 already has another role.*ECR_OIDC_ROLE_123456789012/,
  ],
  [
    'two roles for one host',
    `${host}=a\n${host}`,
    /^registries, line 2: account 123456789012 already has another role/,
  ],
]) {
  test(`registries: ${name}`, () => assert.throws(() => registries(text, ''), { message }));
}

test('inputs: arguments of configure', () => {
  const options = read(
    inputs({
      registries: `${host}\n${other}=spoke\n${host2}`,
      'role-to-assume': ' ci ',
      audience: 'aud',
      'role-session-name': 'me',
      'role-duration-seconds': '3600',
      'allowed-account-ids': '123456789012, 210987654321\n123456789012',
      version: 'v1.2.3-rc.1',
      'docker-config': 'user',
      'github-token': 't',
    }),
  );
  assert.deepStrictEqual(options, {
    registries: [
      { host, role: 'ci', from: 'role-to-assume', line: 1 },
      { host: other, role: 'spoke', from: 'line 2 of registries', line: 2 },
      { host: host2, role: 'ci', from: 'role-to-assume', line: 3 },
    ],
    settings: {
      audience: 'aud',
      'session-name': 'me',
      'session-duration': '3600',
      'allowed-account-ids': '123456789012,210987654321',
    },
    check: 'auto',
    version: '1.2.3-rc.1',
    dockerConfig: 'user',
    dockerLogin: false,
    token: 't',
    verifyRequired: false,
  });
  assert.deepStrictEqual(groups(options.registries), [
    { role: 'ci', from: 'role-to-assume', hosts: [host, host2] },
    { role: 'spoke', from: 'line 2 of registries', hosts: [other] },
  ]);
});

test('inputs: account-ids and aws-region add to registries', () => {
  const accounts = { 'account-ids': '123456789012\n 210987654321', 'aws-region': 'eu-west-2' };
  const hosts = (given) => read(inputs(given)).registries.map(({ host, role }) => [host, role]);
  assert.deepStrictEqual(hosts({ ...accounts, registries: '', 'role-to-assume': 'ci' }), [
    [host, 'ci'],
    [other, 'ci'],
  ]);
  assert.deepStrictEqual(
    hosts({ ...accounts, registries: `${host2}=x\n${host}=x`, 'role-to-assume': 'ci' }),
    [
      [host2, 'x'],
      [host, 'x'],
      [other, 'ci'],
    ],
  );
});

test('registryOf: the name that the helper prints', () => {
  for (const name of [host, `https://${host}`, `HTTP://${host.toUpperCase()}:443/v2/`, `${host}/team/app`]) {
    assert.strictEqual(registryOf(name), host);
  }
});

for (const [given, message] of [
  [{ check: 'always' }, /^check is "always"; allowed are auto, true and false$/],
  [{ 'account-ids': '123456789012' }, /^account-ids is set, but aws-region is empty; /],
  [
    { 'aws-region': 'eu-west-2' },
    /^aws-region is set, but account-ids is empty; .*its variable or secret is set$/,
  ],
  [
    { 'account-ids': '123456789012', 'aws-region': 'eu-west' },
    /^aws-region is "eu-west", which is not a region; a region looks like eu-west-2$/,
  ],
  [
    { 'account-ids': '1402433619', 'aws-region': 'eu-west-2' },
    /^account-ids has "1402433619", which is not an account number; .* must be in quotes$/,
  ],
  [
    { registries: `${host2}=x`, 'account-ids': '123456789012', 'aws-region': 'eu-west-2' },
    /^account-ids: account 123456789012 already has another role/,
  ],
  [{ version: '' }, /^version is ""; use a release/],
  [{ version: 'latest' }, /^version is "latest"/],
  [{ version: '1.2' }, /^version is "1\.2"/],
  [{ version: '../../1.2.3' }, /^version is "/],
  [{ version: '1.2.3-a/../b' }, /^version is "/],
  [{ 'docker-config': '' }, /^docker-config is ""; allowed are job and user$/],
  [{ 'docker-config': 'Job' }, /^docker-config is "Job"/],
  [{ audience: 'a\n::set-env name=x::y' }, /^audience contains a line break or another control character$/],
  [{ 'role-to-assume': 'a\rb' }, /^role-to-assume contains a line break/],
]) {
  test(`inputs: ${JSON.stringify(given)}`, () => assert.throws(() => read(inputs(given)), { message }));
}
