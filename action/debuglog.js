'use strict';

// Shows the debug log of the helper. With RUNNER_DEBUG=1, the helper writes debug lines to a file in
// RUNNER_TEMP, and not to stderr, because some clients parse its stderr. The post step copies the
// file to the job's log.

const fs = require('node:fs');
const path = require('node:path');
const runner = require('./runner.js');

// The helper writes at most 1 MiB, and then finishes the last line.
const maxSize = (1 << 20) + (64 << 10);

// show copies the debug log to the job's log and removes the file. It does not throw.
function show(env) {
  const uid = process.getuid ? `-${process.getuid()}` : ''; // Windows has no user ids
  const file = path.join(env.RUNNER_TEMP || '', `ecr-oidc-debug${uid}.log`);
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

// read returns the file's text, or undefined if there is no file. Every process of the job can write
// to RUNNER_TEMP. read accepts only a file as the helper creates it: a link could show another file
// of this user in the log.
function read(file) {
  const { O_RDONLY, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = fs.constants;
  const found = fs.lstatSync(file, { throwIfNoEntry: false });
  if (!found) {
    return undefined;
  }
  check(found);
  const descriptor = fs.openSync(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  try {
    check(fs.fstatSync(descriptor)); // the file may have been replaced before the open
    const buffer = Buffer.alloc(maxSize);
    return buffer.toString('utf8', 0, fs.readSync(descriptor, buffer, 0, maxSize, 0));
  } finally {
    fs.closeSync(descriptor);
  }
}

function check(stat) {
  if (!stat.isFile()) {
    throw new Error('it is not a regular file');
  }
  if (process.getuid && stat.uid !== process.getuid()) {
    throw new Error('it is owned by another user');
  }
  if (stat.nlink > 1) {
    throw new Error('it has more than one hard link');
  }
  if (stat.size > maxSize) {
    throw new Error(`it is larger than ${maxSize} bytes`);
  }
}

module.exports = { show };
