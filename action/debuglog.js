'use strict';

// The steps of each login. With RUNNER_DEBUG=1 the helper writes them to a file in RUNNER_TEMP,
// and nothing to stderr, because some clients parse both of its streams. The post step shows the
// file in the job's log.

const fs = require('node:fs');
const path = require('node:path');
const runner = require('./runner.js');

// The helper writes at most 1 MiB. The margin is for its last line.
const largest = (1 << 20) + (64 << 10);

// show writes the steps to the job's log and removes the file. It does not throw.
function show(env) {
  const uid = process.getuid ? `-${process.getuid()}` : ''; // Windows has no user ids
  const file = path.join(env.RUNNER_TEMP || '', `ecr-oidc-debug${uid}.log`);
  try {
    const text = read(file);
    if (text === undefined) {
      return;
    }
    if (text !== '') {
      runner.group('steps of each login, since RUNNER_DEBUG is 1', text);
    }
  } catch (error) {
    runner.warning(`the debug log ${file} is not shown: ${error.message}`);
  }
  try {
    fs.unlinkSync(file); // of a link, the link
  } catch (error) {
    runner.info(`the debug log ${file} is not removed: ${error.message}`);
  }
}

// read returns the file's text, or undefined when there is no file. Every process of the job can
// write to RUNNER_TEMP, so a file that is not as the helper creates it is refused: a link could
// show another file of this user's in the log.
function read(file) {
  const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = fs.constants;
  const found = fs.lstatSync(file, { throwIfNoEntry: false });
  if (!found) {
    return undefined;
  }
  check(found);
  const descriptor = fs.openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    check(fs.fstatSync(descriptor)); // of what was opened, which may be another file by now
    const buffer = Buffer.alloc(largest);
    return buffer.toString('utf8', 0, fs.readSync(descriptor, buffer, 0, largest, 0));
  } finally {
    fs.closeSync(descriptor);
  }
}

function check(stat) {
  if (!stat.isFile()) {
    throw new Error('it is not a regular file');
  }
  if (process.getuid && stat.uid !== process.getuid()) {
    throw new Error('it belongs to another user');
  }
  if (stat.nlink > 1) {
    throw new Error('it has more than one name');
  }
  if (stat.size > largest) {
    throw new Error(`it is larger than ${largest} bytes`);
  }
}

module.exports = { show };
