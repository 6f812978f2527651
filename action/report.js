'use strict';

// Adds failed logins and the output of doctor to the job's summary.

const fs = require('node:fs');
const path = require('node:path');
const { firstLine, run } = require('./exec.js');
const { fileOf, read } = require('./helperfile.js');
const { explain } = require('./origins.js');
const runner = require('./runner.js');

const doctorTimeout = 60; // seconds; doctor takes at most 30 for a registry
const maxOutput = 64 << 10; // characters of doctor's output; a step's summary is limited to 1 MiB

// takeFailures returns the failed logins that the helper noted in this job, as { hosts, text }, and
// removes the notes. Each line of the file is the registry's host and the error.
function takeFailures(env) {
  const file = fileOf(env, 'ecr-oidc-failures', '.txt');
  const byText = new Map();
  try {
    for (const line of (read(file) || '').split('\n').filter(Boolean)) {
      const [, host, text] = /^(\S+) (.*)$/.exec(line) || [];
      if (host) {
        byText.set(text, new Set(byText.get(text)).add(host));
      }
    }
  } finally {
    fs.rmSync(file, { force: true }); // removes a symlink itself
  }
  return [...byText].map(([text, hosts]) => ({ hosts: [...hosts], text }));
}

// report adds failed logins, { hosts, text }, and the output of doctor for their registries to the
// job's summary. It writes both to the log if there is no summary.
function report(failures, { folder, variables, binary }, env) {
  const hosts = [...new Set(failures.flatMap((failure) => failure.hosts))];
  const result = run(binary, ['doctor', ...(hosts.length === 1 ? hosts : [])], {
    env: {
      ...env,
      ...variables,
      PATH: path.dirname(binary) + path.delimiter + (env.PATH || env.Path || ''),
    },
    timeout: doctorTimeout * 1000,
  });
  let output = explain(runner.sanitize(result.stdout), folder).trimEnd().slice(0, maxOutput);
  if (result.timeout) {
    output += `${output && '\n'}(stopped after ${doctorTimeout} s)`;
  }
  if (!output) { // for example, a release without this command
    output = `doctor: ${explain(runner.sanitize(firstLine(result)), folder)}`;
  }
  const lines = failures.map((failure) => {
    return `${failure.hosts.join(', ')}: ${explain(failure.text, folder)}`;
  });
  const text = [...lines.map(runner.sanitize), '', output].join('\n').slice(0, 2 * maxOutput);
  if (!env.GITHUB_STEP_SUMMARY) {
    runner.info(text);
    return;
  }
  // The fence is longer than any sequence of backticks in the text, which cannot close it.
  const ticks = text.match(/`+/g) || [];
  const fence = '`'.repeat(Math.max(3, ...ticks.map((sequence) => sequence.length + 1)));
  fs.appendFileSync(env.GITHUB_STEP_SUMMARY,
    `### docker-credential-ecr-oidc doctor\n\n${fence}text\n${text}\n${fence}\n`);
  runner.info("a login failed; doctor's output is in the job summary");
}

module.exports = { report, takeFailures };
