'use strict';

// The runner's tool cache, in the layout of actions/tool-cache: a directory TOOL/VERSION/ARCH, which is
// valid if the file ARCH.complete exists. This action writes the binary's checksum and the result of
// its verification to ARCH.complete. The file is empty if an administrator added the binary. It is no
// protection against a process that can write to the tool cache.

const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

const tool = 'docker-credential-ecr-oidc';

// folder returns the directory of a version, or '' if the runner has no tool cache.
function folder(env, version, arch) {
  return env.RUNNER_TOOL_CACHE ? path.join(env.RUNNER_TOOL_CACHE, tool, version, arch) : '';
}

// find returns { file, verified } for a version in the tool cache: the binary's path, and how it was
// verified, or '' if it was not. It returns undefined if the version is missing or incomplete, or if the
// binary's checksum is not the one in ARCH.complete.
function find(env, version, arch, binary) {
  const dir = folder(env, version, arch);
  const file = path.join(dir, binary);
  if (!dir || !fs.existsSync(`${dir}.complete`) || !fs.existsSync(file)) {
    return undefined;
  }
  const complete = fs.readFileSync(`${dir}.complete`, 'utf8');
  const [, sum, verified] = /^([0-9a-f]{64}) ?(.*)\n$/.exec(complete) || [];
  if (sum && sum !== sha256(fs.readFileSync(file))) {
    return undefined;
  }
  return { file, verified: verified || '' };
}

// put adds a version to the tool cache and returns the binary's path. verified describes how the binary
// was verified. Concurrent jobs may call put: the directory is renamed to its final name when it is
// complete. put keeps an existing binary with the same content, and replaces an incomplete directory.
function put(env, version, arch, binary, content, verified) {
  const dir = folder(env, version, arch);
  const file = path.join(dir, binary);
  fs.mkdirSync(path.dirname(dir), { recursive: true });
  const temporary = fs.mkdtempSync(`${dir}.new-`);
  try {
    fs.chmodSync(temporary, 0o755); // other users' jobs may run it
    write(path.join(temporary, binary), content);
    for (let n = 1; !same(file, content); n++) {
      try {
        fs.renameSync(temporary, dir);
      } catch (error) {
        const occupied = ['ENOTEMPTY', 'EEXIST', 'EPERM', 'EACCES', 'EBUSY'].includes(error.code);
        if (n === 10 || !occupied) {
          throw error;
        }
        if (!same(file, content)) {
          fs.rmSync(`${dir}.complete`, { force: true });
          fs.rmSync(dir, { recursive: true, force: true });
          pause(n * 20); // on Windows, a virus scanner opens a new file for a short time
        }
      }
    }
  } finally {
    fs.rmSync(temporary, { recursive: true, force: true });
  }
  fs.writeFileSync(`${dir}.complete`, `${sha256(content)} ${verified}\n`);
  return file;
}

// write creates an executable file and waits until it is on the disk.
function write(file, content) {
  const fd = fs.openSync(file, 'wx', 0o755);
  try {
    fs.writeFileSync(fd, content);
    fs.fchmodSync(fd, 0o755); // regardless of the umask
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function sha256(content) {
  return crypto.createHash('sha256').update(content).digest('hex');
}

function same(file, content) {
  try {
    return fs.readFileSync(file).equals(content);
  } catch {
    return false;
  }
}

function pause(milliseconds) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

module.exports = { find, put, write };
