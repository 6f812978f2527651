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

test('registries: one per line, with a role of its own or the common one', () => {
  const arn = 'arn:aws:iam::210987654321:role/a=b';
  assert.deepStrictEqual([...registries(`\n ${host} \r\n\n${other} = ${arn}\npublic.ecr.aws=x\n`, 'ci')], [[host, 'ci'], [other, arn], ['public.ecr.aws', 'x']]);
  assert.deepStrictEqual([...registries(`${host}\n${host2}\n${host}`, '')], [[host, ''], [host2, '']]);
});

for (const [name, text, message] of [
  ['nothing', '', /^registries is empty; name one registry or more/],
  ['lines with nothing', ' \n\t\n', /^registries is empty/],
  ['no registry', `${host}\n=ci`, /^registries, line 2: "=ci" has no registry before "="$/],
  ['no role', `\n${host}=`, /^registries, line 2: ".*=" has no role after "="; is the variable or secret that it comes from set\?$/],
  ['two on a line', `${host} ${other}`, /^registries, line 1: .* has a space in it; name one registry per line$/],
  ['a control character', `${host}\u0007=ci`, /^registries, line 1: it has a control character in it$/],
  ['two roles in one account', `${host}=a\n${host2}=b`, /^registries, line 2: account 123456789012 has another role already.*ECR_OIDC_ROLE_123456789012/],
  ['two roles for one host', `${host}=a\n${host}`, /^registries, line 2: account 123456789012 has another role/],
]) {
  test(`registries: ${name}`, () => assert.throws(() => registries(text, ''), { message }));
}

test('inputs: what configure is called with', () => {
  const wanted = read(inputs({
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
  assert.deepStrictEqual(wanted, {
    groups: [{ role: 'ci', hosts: [host, host2] }, { role: 'spoke', hosts: [other] }],
    settings: { audience: 'aud', 'session-name': 'me', 'session-duration': '3600', 'allowed-account-ids': '123456789012,210987654321' },
    version: '1.2.3-rc.1',
    dockerConfig: 'user',
    dockerLogin: false,
    token: 't',
    mustVerify: false,
  });
});

for (const [given, message] of [
  [{ version: '' }, /^version is ""; name a release/],
  [{ version: 'latest' }, /^version is "latest"/],
  [{ version: '1.2' }, /^version is "1\.2"/],
  [{ version: '../../1.2.3' }, /^version is "/],
  [{ version: '1.2.3-a/../b' }, /^version is "/],
  [{ 'docker-config': '' }, /^docker-config is ""; allowed are job and user$/],
  [{ 'docker-config': 'Job' }, /^docker-config is "Job"/],
  [{ audience: 'a\n::set-env name=x::y' }, /^audience has a line's end or another control character in it$/],
  [{ 'role-to-assume': 'a\rb' }, /^role-to-assume has a line's end/],
]) {
  test(`inputs: ${JSON.stringify(given)}`, () => assert.throws(() => read(inputs(given)), { message }));
}
