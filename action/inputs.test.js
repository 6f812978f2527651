'use strict';

const assert = require('node:assert');
const test = require('node:test');
const { read, registries } = require('./inputs.js');

const host = '123456789012.dkr.ecr.eu-west-2.amazonaws.com';
const host2 = '123456789012.dkr.ecr.us-east-1.amazonaws.com';
const other = '210987654321.dkr.ecr.eu-west-2.amazonaws.com';

const inputs = (given) => {
  const all = { registries: host, version: '0.1.0', 'docker-config': 'job', ...given };
  return Object.fromEntries(Object.entries(all).map(([name, value]) => [`INPUT_${name.toUpperCase()}`, value]));
};

test('registries: one per line, with or without a role', () => {
  const arn = 'arn:aws:iam::210987654321:role/a=b';
  assert.deepStrictEqual([...registries(`\n ${host} \r\n\n${other} = ${arn}\npublic.ecr.aws=x\n`, 'ci')], [[host, 'ci'], [other, arn], ['public.ecr.aws', 'x']]);
  assert.deepStrictEqual([...registries(`${host}\n${host2}\n${host}`, '')], [[host, ''], [host2, '']]);
});

for (const [name, text, message] of [
  ['empty', '', /^registries is empty; set it to one registry per line/],
  ['blank lines', ' \n\t\n', /^registries is empty/],
  ['no registry', `${host}\n=ci`, /^registries, line 2: "=ci" has no registry before "="$/],
  ['no role', `\n${host}=`, /^registries, line 2: ".*=" has no role after "="; check that its variable or secret is set$/],
  ['two on one line', `${host} ${other}`, /^registries, line 1: .* contains a space; use one line per registry$/],
  ['a control character', `${host}\u0007=ci`, /^registries, line 1: it contains a control character$/],
  ['two roles in one account', `${host}=a\n${host2}=b`, /^registries, line 2: account 123456789012 already has another role.*ECR_OIDC_ROLE_123456789012/],
  ['two roles for one host', `${host}=a\n${host}`, /^registries, line 2: account 123456789012 already has another role/],
]) {
  test(`registries: ${name}`, () => assert.throws(() => registries(text, ''), { message }));
}

test('inputs: arguments of configure', () => {
  const options = read(inputs({
    registries: `${host}\n${other}=spoke\n${host2}`,
    'role-to-assume': ' ci ',
    audience: 'aud',
    'role-session-name': 'me',
    'role-duration-seconds': '3600',
    'allowed-account-ids': '123456789012, 210987654321\n123456789012',
    version: 'v1.2.3-rc.1',
    'docker-config': 'user',
    'github-token': 't',
  }));
  assert.deepStrictEqual(options, {
    groups: [{ role: 'ci', hosts: [host, host2] }, { role: 'spoke', hosts: [other] }],
    settings: { audience: 'aud', 'session-name': 'me', 'session-duration': '3600', 'allowed-account-ids': '123456789012,210987654321' },
    version: '1.2.3-rc.1',
    dockerConfig: 'user',
    dockerLogin: false,
    token: 't',
    verifyRequired: false,
  });
});

for (const [given, message] of [
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
