'use strict';

const path = require('node:path');
const { check } = require('./check.js');
const dockerconfig = require('./dockerconfig.js');
const { firstLine, run } = require('./exec.js');
const inputs = require('./inputs.js');
const { install } = require('./install.js');
const { login } = require('./login.js');
const { explain, explainFlags, save } = require('./origins.js');
const { platform } = require('./platform.js');
const { report } = require('./report.js');
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
  const groups = inputs.groups(options.registries);
  // In the user's config.json, the post step restores each change from its backup.
  const id = `${Date.now()}-${process.pid}`;
  const backups = options.dockerConfig === 'job'
    ? []
    : groups.map((_, n) => path.join(config.folder, `backup-${id}-${n}.json`));
  const loginState = options.dockerLogin ? path.join(config.folder, `login-${id}.json`) : '';
  const { exports, ...saved } = config;
  const job = { ...saved, binary, backups, loginState };
  runner.saveState('job', job);

  groups.forEach((group, n) => configure(group, options.settings, backups[n], job, env));
  save(config.folder, options.registries);
  for (const [name, value] of Object.entries(exports)) {
    runner.exportVariable(name, value);
  }
  const registries = [...new Set(options.registries.map(({ host }) => inputs.registryOf(host)))];
  runner.setOutput('registry', registries[0]);
  runner.setOutput('registries', registries.join('\n'));
  runner.setOutput('docker-config', config.docker);

  const jobEnv = { ...env, ...config.variables };
  if (options.check !== 'false') {
    const inInputs = (text) => explain(text, config.folder);
    const failures = check(options.check, options.registries, binary, jobEnv, inInputs);
    if (failures.length > 0) {
      return fail(failures, job, env);
    }
  }
  if (loginState) {
    const file = login(auths(registries, binary, jobEnv, config.folder), loginState, env);
    runner.info(`wrote logins to ${file}, which the post step removes: ${registries.join(', ')}`);
  }
}

// configure registers the helper for registries that have the same role.
function configure({ role, from, hosts }, settings, backup, { binary, variables }, env) {
  const flags = Object.entries({ role, ...settings, backup }).filter(([, value]) => value);
  const args = ['configure', ...flags.map(([name, value]) => `--${name}=${value}`), '--', ...hosts];
  const result = run(binary, args, { env: { ...env, ...variables } });
  if (result.code !== 0) {
    throw new Error(`configuring Docker: ${explainFlags(firstLine(result), from)}`);
  }
  runner.info(result.stdout.trimEnd());
  for (const line of result.stderr.split(/\r?\n/).filter(Boolean)) {
    runner.warning(explainFlags(line, from));
  }
}

// fail fails the step because logins failed. It adds the output of doctor to the job's summary.
function fail(failures, job, env) {
  try {
    report(failures, job, env);
  } catch (error) {
    runner.warning(`running doctor: ${error.message}`);
  }
  for (const { hosts, text } of failures) {
    runner.error(`logging in to ${hosts.join(', ')}: ${text}`);
  }
  process.exitCode = 1;
}

// auths gets the password of each registry from the helper and masks it in the log. It returns the
// value of "auths" in config.json.
function auths(registries, binary, env, folder) {
  const found = {};
  for (const registry of registries) {
    const result = run(binary, ['password', '--', registry], { env });
    if (result.code !== 0) {
      throw new Error(`logging in to ${registry}: ${explain(firstLine(result), folder)}`);
    }
    const password = result.stdout.trim();
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
