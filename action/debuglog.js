'use strict';

// Shows the debug log of the helper. With RUNNER_DEBUG=1, the helper writes debug lines to a file in
// RUNNER_TEMP, and not to stderr, because some clients parse its stderr. The post step copies the
// file to the job's log.

const fs = require('node:fs');
const { fileOf, read } = require('./helperfile.js');
const runner = require('./runner.js');

// show copies the debug log to the job's log and removes the file. It does not throw.
function show(env) {
  const file = fileOf(env, 'ecr-oidc-debug', '.log');
  try {
    const text = read(file);
    if (text === undefined) {
      return;
    }
    if (text !== '') {
      runner.group('debug log (RUNNER_DEBUG=1)', text);
    }
  } catch (error) {
    runner.warning(`cannot show the debug log ${file}: ${error.message}`);
  }
  try {
    fs.unlinkSync(file); // removes a symlink itself
  } catch (error) {
    runner.info(`cannot remove the debug log ${file}: ${error.message}`);
  }
}

module.exports = { show };
