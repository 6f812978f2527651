'use strict';

// Tests of the outputs of the action, and of registries from account-ids and aws-region.

const assert = require('node:assert');
const path = require('node:path');
const test = require('node:test');
const { good, startEmulator } = require('./testdata/harness.js');

const host = '123456789012.dkr.ecr.eu-west-2.amazonaws.com';
const region2 = '123456789012.dkr.ecr.us-east-1.amazonaws.com';
const other = '210987654321.dkr.ecr.eu-west-2.amazonaws.com';

test('outputs and account-ids', async (t) => {
  const { start } = await startEmulator(t);
  const job = await start();
  const { ran } = await job.main({
    'account-ids': '123456789012, 210987654321',
    'aws-region': 'eu-west-2',
    registries: `HTTPS://${region2}/x\n${host}`,
    'role-to-assume': 'ci',
  });
  good(ran);
  assert.deepStrictEqual(ran.outputs, {
    registry: region2,
    registries: [region2, host, other].join('\n'),
    'docker-config': job.env.DOCKER_CONFIG,
  });
  assert.deepStrictEqual(Object.keys(job.docker().credHelpers).sort(), [host, region2, other].sort());
  const user = await start();
  const step = await user.main({
    'account-ids': '123456789012',
    'aws-region': 'eu-west-2',
    'docker-config': 'user',
  });
  assert.deepStrictEqual(good(step.ran).outputs, {
    registry: host,
    registries: host,
    'docker-config': path.join(user.home, '.docker'),
  });

  // The hosts are those of the helper, in each partition.
  for (const region of [
    'us-east-1',
    'us-gov-west-1',
    'cn-north-1',
    'eusc-de-east-1',
    'us-iso-east-1',
    'us-isob-east-1',
    'eu-isoe-west-1',
    'us-isof-south-1',
  ]) {
    const found = await (await start()).main({ 'account-ids': '123456789012', 'aws-region': region });
    const helper = await user.helper(
      'configure',
      '--dry-run',
      '--account',
      '123456789012',
      '--region',
      region,
    );
    assert.ok(helper.output.includes(`for ${good(found.ran).outputs.registry} (`), helper.output);
  }
});
