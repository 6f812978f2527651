'use strict';

// The post step, which runs at the end of the job. If the job and a login in it failed, it adds the
// failed logins and the output of doctor to the job's summary. It undoes the changes of main and shows
// the debug log. The runner runs the post steps of several calls in reverse order. The post step never
// fails the job.

const fs = require('node:fs');
const path = require('node:path');
const debuglog = require('./debuglog.js');
const dockerconfig = require('./dockerconfig.js');
const inputs = require('./inputs.js');
const { logout } = require('./login.js');
const { explain } = require('./origins.js');
const { report, takeFailures } = require('./report.js');
const runner = require('./runner.js');

function post(env) {
  const job = runner.state('job');
  if (!job) {
    return; // main failed before it changed anything
  }
  try {
    diagnose(job, env);
  } catch (error) {
    runner.warning(`reporting the failed logins: ${error.message}`);
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

// diagnose reports the failed logins of the later steps, once for all calls in a job. It makes a request
// only if there is one and the job failed: a login that failed in a job that succeeded was repeated, or
// was not needed.
function diagnose(job, env) {
  const done = path.join(job.folder, 'diagnosed');
  if (fs.existsSync(done)) {
    return;
  }
  fs.writeFileSync(done, '');
  const failures = takeFailures(env);
  if (failures.length === 0) {
    runner.info('no later step failed to log in to ECR');
  } else if (inputs.failed(env)) {
    report(failures, job, env);
  } else {
    const [{ hosts, text }] = failures;
    runner.info(`the job did not fail, but a login did: ${hosts[0]}: ${explain(text, job.folder)}`);
  }
}

try {
  post(process.env);
} catch (error) {
  runner.warning(error.message);
}
