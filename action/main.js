'use strict';

const path = require('node:path');
const dockerconfig = require('./dockerconfig.js');
const { firstLine, run } = require('./exec.js');
const inputs = require('./inputs.js');
const { login } = require('./login.js');
const { platform } = require('./platform.js');
const { install } = require('./release.js');
const runner = require('./runner.js');

async function main(env) {
  const wanted = inputs.read(env);
  if (!env.RUNNER_TEMP) {
    throw new Error('RUNNER_TEMP is not set: this is not a step of an action');
  }
  const binary = await install(wanted, platform(), env, runner.info);
  const bin = path.dirname(binary);
  runner.addPath(bin);
  env = { ...env, PATH: bin + path.delimiter + (env.PATH || env.Path || '') };
  runner.info(succeed(run(binary, ['version'], { env }), `running ${binary}`).stdout.trim());

  const place = dockerconfig.open(wanted.dockerConfig, env);
  // In the user's own file each change is one that the post step takes back.
  const id = `${Date.now()}-${process.pid}`;
  const backups = wanted.dockerConfig === 'job' ? [] : wanted.groups.map((_, n) => path.join(place.folder, `backup-${id}-${n}.json`));
  const note = wanted.dockerLogin ? path.join(place.folder, `login-${id}.json`) : '';
  const { exports, ...saved } = place;
  runner.saveState('job', { ...saved, binary, backups, note });

  wanted.groups.forEach(({ role, hosts }, n) => {
    const flags = Object.entries({ role, ...wanted.settings, backup: backups[n] }).filter(([, value]) => value);
    const args = ['configure', ...flags.map(([name, value]) => `--${name}=${value}`), '--', ...hosts];
    const result = succeed(run(binary, args, { env: { ...env, ...place.variables } }), 'configuring Docker');
    runner.info(result.stdout.trimEnd());
    for (const line of result.stderr.split(/\r?\n/).filter(Boolean)) {
      runner.warning(line);
    }
  });
  if (note) {
    const hosts = wanted.groups.flatMap((group) => group.hosts);
    const file = login(auths(hosts, binary, { ...env, ...place.variables }), note, env);
    runner.info(`${file} has logins until the job ends: ${hosts.join(', ')}`);
  }
  for (const [name, value] of Object.entries(exports)) {
    runner.exportVariable(name, value);
  }
}

// auths asks the helper for the password of each registry, masks it, and returns what config.json
// has under "auths".
function auths(hosts, binary, env) {
  const found = {};
  for (const host of hosts) {
    const registry = host.replace(/^https?:\/\//, '').replace(/\/.*/, '').toLowerCase();
    const result = run(binary, ['password', '--', registry], { env });
    const password = succeed(result, `logging in to ${registry}`).stdout.trim();
    const auth = Buffer.from(`AWS:${password}`).toString('base64');
    runner.mask(password);
    runner.mask(auth);
    found[registry] = { auth };
  }
  return found;
}

function succeed(result, what) {
  if (result.code !== 0) {
    throw new Error(`${what}: ${firstLine(result)}`);
  }
  return result;
}

main(process.env).catch((error) => {
  runner.error(error.message);
  process.exitCode = 1;
});
