'use strict';

// Reads the files that the helper writes to RUNNER_TEMP for the post step.

const fs = require('node:fs');
const path = require('node:path');

// The helper writes at most 1 MiB, and then finishes the last line.
const maxSize = (1 << 20) + (64 << 10);

// fileOf returns the path of a file that the helper writes for this user.
function fileOf(env, name, extension) {
  const uid = process.getuid ? `-${process.getuid()}` : ''; // Windows has no user ids
  return path.join(env.RUNNER_TEMP || '', `${name}${uid}${extension}`);
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

module.exports = { fileOf, read };
