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
  const options = inputs.read(env);
  if (!env.RUNNER_TEMP) {
    throw new Error('RUNNER_TEMP is not set: this is not a step of an action');
  }
  const binary = await install(options, platform(), env, runner.info);
  const bin = path.dirname(binary);
  runner.addPath(bin);
  env = { ...env, PATH: bin + path.delimiter + (env.PATH || env.Path || '') };
  runner.info(succeed(run(binary, ['version'], { env }), `running ${binary}`).stdout.trim());

  const config = dockerconfig.open(options.dockerConfig, env);
  // In the user's config.json, the post step restores each change from its backup.
  const id = `${Date.now()}-${process.pid}`;
  const backups = options.dockerConfig === 'job'
    ? []
    : options.groups.map((_, n) => path.join(config.folder, `backup-${id}-${n}.json`));
  const loginState = options.dockerLogin ? path.join(config.folder, `login-${id}.json`) : '';
  const { exports, ...saved } = config;
  runner.saveState('job', { ...saved, binary, backups, loginState });

  options.groups.forEach(({ role, hosts }, n) => {
    const flags = Object.entries({ role, ...options.settings, backup: backups[n] })
      .filter(([, value]) => value);
    const args = ['configure', ...flags.map(([name, value]) => `--${name}=${value}`), '--', ...hosts];
    const configured = run(binary, args, { env: { ...env, ...config.variables } });
    const result = succeed(configured, 'configuring Docker');
    runner.info(result.stdout.trimEnd());
    for (const line of result.stderr.split(/\r?\n/).filter(Boolean)) {
      runner.warning(line);
    }
  });
  if (loginState) {
    const hosts = options.groups.flatMap((group) => group.hosts);
    const file = login(auths(hosts, binary, { ...env, ...config.variables }), loginState, env);
    runner.info(`wrote logins to ${file}, which the post step removes: ${hosts.join(', ')}`);
  }
  for (const [name, value] of Object.entries(exports)) {
    runner.exportVariable(name, value);
  }
}

// auths gets the password of each registry from the helper and masks it in the log. It returns the
// value of "auths" in config.json.
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

// succeed returns result, or throws an error if the program failed.
function succeed(result, action) {
  if (result.code !== 0) {
    throw new Error(`${action}: ${firstLine(result)}`);
  }
  return result;
}

main(process.env).catch((error) => {
  runner.error(error.message);
  process.exitCode = 1;
});
