'use strict';

// The post step, which runs at the end of the job. If the job failed, it adds the output of doctor to
// the job's summary. It undoes the changes of main and shows the debug log. The runner runs the post
// steps of several calls in reverse order. The post step never fails the job.

const fs = require('node:fs');
const path = require('node:path');
const debuglog = require('./debuglog.js');
const dockerconfig = require('./dockerconfig.js');
const { firstLine, run } = require('./exec.js');
const inputs = require('./inputs.js');
const { logout } = require('./login.js');
const runner = require('./runner.js');

const doctorTimeout = 60; // seconds; doctor takes at most 30 for a registry
const maxOutput = 64 << 10; // characters of doctor's output; a step's summary is limited to 1 MiB

function post(env) {
  const job = runner.state('job');
  if (!job) {
    return; // main failed before it changed anything
  }
  if (inputs.failed(env)) {
    try {
      diagnose(job, env);
    } catch (error) {
      runner.warning(`running doctor: ${error.message}`);
    }
  }
  try {
    logout(job.loginState);
  } catch (error) {
    runner.warning(`removing the logins of docker-login: ${error.message}; remove them manually`);
  }
  dockerconfig.restore(job, env, runner.warning);
  // Post steps of earlier steps run after this one, such as the logout of docker/login-action.
  for (const [name, value] of Object.entries(job.before)) {
    runner.exportVariable(name, value);
  }
  debuglog.show(env);
}

// diagnose adds doctor's output for all registries to the job's summary, once for all calls in a job.
function diagnose({ folder, variables, binary }, env) {
  const done = path.join(folder, 'doctor-done');
  if (fs.existsSync(done)) {
    return;
  }
  const result = run(binary, ['doctor'], {
    env: {
      ...env,
      ...variables,
      PATH: path.dirname(binary) + path.delimiter + (env.PATH || env.Path || ''),
    },
    timeout: doctorTimeout * 1000,
  });
  let output = runner.sanitize(result.stdout).trimEnd().slice(0, maxOutput);
  if (result.timeout) {
    output += `${output && '\n'}(stopped after ${doctorTimeout} s)`;
  }
  if (!output) {
    runner.info(`doctor: ${firstLine(result)}`); // for example, a release without this command
    return;
  }
  // The fence is longer than any sequence of backticks in the output, which cannot close it.
  const ticks = output.match(/`+/g) || [];
  const fence = '`'.repeat(Math.max(3, ...ticks.map((sequence) => sequence.length + 1)));
  const summary = `### docker-credential-ecr-oidc doctor\n\n${fence}text\n${output}\n${fence}\n`;
  if (env.GITHUB_STEP_SUMMARY) {
    fs.appendFileSync(env.GITHUB_STEP_SUMMARY, summary);
    runner.info("this job failed; doctor's output is in the job summary");
  } else {
    runner.info(output);
  }
  fs.writeFileSync(done, '');
}

try {
  post(process.env);
} catch (error) {
  runner.warning(error.message);
}
