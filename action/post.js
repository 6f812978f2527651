'use strict';

// At the job's end: what doctor says goes into the summary of a job that failed, what main did is
// taken back, and the debug log is shown. The runner runs the post steps of several calls in
// reverse order. Nothing here fails the job.

const fs = require('node:fs');
const path = require('node:path');
const debuglog = require('./debuglog.js');
const dockerconfig = require('./dockerconfig.js');
const { firstLine, run } = require('./exec.js');
const inputs = require('./inputs.js');
const { logout } = require('./login.js');
const runner = require('./runner.js');

const seconds = 60; // for doctor, which gives each registry half a minute at most
const longest = 64 << 10; // of what it says; a step's summary may have 1 MiB in all

function post(env) {
  const job = runner.state('job');
  if (!job) {
    return; // main did not come so far
  }
  if (inputs.failed(env)) {
    try {
      diagnose(job, env);
    } catch (error) {
      runner.warning(`asking doctor: ${error.message}`);
    }
  }
  try {
    logout(job.note);
  } catch (error) {
    runner.warning(`removing the logins of docker-login: ${error.message}; remove them from it yourself`);
  }
  dockerconfig.undo(job, env, runner.warning);
  // Other actions' post steps come after this one, such as the logout of one that logged in before us.
  for (const [name, value] of Object.entries(job.before)) {
    runner.exportVariable(name, value);
  }
  debuglog.show(env);
}

// diagnose puts what doctor says of every registry into the job's summary, once for all calls in it.
function diagnose({ folder, variables, binary }, env) {
  const done = path.join(folder, 'doctor-done');
  if (fs.existsSync(done)) {
    return;
  }
  const result = run(binary, ['doctor'], {
    env: { ...env, ...variables, PATH: path.dirname(binary) + path.delimiter + (env.PATH || env.Path || '') },
    timeout: seconds * 1000,
  });
  let said = runner.plain(result.stdout).trimEnd().slice(0, longest);
  if (result.late) {
    said += `${said && '\n'}(stopped after ${seconds} s)`;
  }
  if (!said) {
    runner.info(`doctor: ${firstLine(result)}`); // a release without that command
    return;
  }
  // A fence that is longer than any in the text cannot be closed by it.
  const fence = '`'.repeat(Math.max(3, ...(said.match(/`+/g) || []).map((ticks) => ticks.length + 1)));
  const summary = `### docker-credential-ecr-oidc doctor\n\n${fence}text\n${said}\n${fence}\n`;
  if (env.GITHUB_STEP_SUMMARY) {
    fs.appendFileSync(env.GITHUB_STEP_SUMMARY, summary);
    runner.info('this job failed; what doctor says is in its summary');
  } else {
    runner.info(said);
  }
  fs.writeFileSync(done, '');
}

try {
  post(process.env);
} catch (error) {
  runner.warning(error.message);
}
