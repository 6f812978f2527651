'use strict';

// The runner's tool cache, in the layout of actions/tool-cache: TOOL/VERSION/ARCH, which counts only when there is a
// file ARCH.complete beside it. That says which content was put there, and how it had been verified; an empty one, which
// somebody made by hand, says nothing. It is a note between honest jobs: who may write here may write both.

const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');

const tool = 'docker-credential-ecr-oidc';

// folder is where this version lies, or will lie; '' where the runner has no tool cache.
function folder(env, version, arch) {
  return env.RUNNER_TOOL_CACHE ? path.join(env.RUNNER_TOOL_CACHE, tool, version, arch) : '';
}

// find returns the file of a version in the tool cache, and how it was verified, '' when it was not; undefined when it is
// not there, not all of it, or not what its note is about.
function find(env, version, arch, binary) {
  const there = folder(env, version, arch);
  const file = path.join(there, binary);
  if (!there || !fs.existsSync(`${there}.complete`) || !fs.existsSync(file)) {
    return undefined;
  }
  const [, sum, verified] = /^([0-9a-f]{64}) ?(.*)\n$/.exec(fs.readFileSync(`${there}.complete`, 'utf8')) || [];
  if (sum && sum !== sha256(fs.readFileSync(file))) {
    return undefined;
  }
  return { file, verified: verified || '' };
}

// put adds a version, with how it was verified, and returns its file. A job that comes along at the same time sees all of it or nothing: the
// folder gets its name when the file is in it. Whoever comes second uses what the first one put there, if it is the
// same; what somebody left half done is replaced.
function put(env, version, arch, binary, content, verified) {
  const there = folder(env, version, arch);
  const file = path.join(there, binary);
  fs.mkdirSync(path.dirname(there), { recursive: true });
  const made = fs.mkdtempSync(`${there}.new-`);
  try {
    fs.chmodSync(made, 0o755); // other users' jobs may run it
    write(path.join(made, binary), content);
    for (let n = 1; !same(file, content); n++) {
      try {
        fs.renameSync(made, there);
      } catch (error) {
        if (n === 10 || !['ENOTEMPTY', 'EEXIST', 'EPERM', 'EACCES', 'EBUSY'].includes(error.code)) {
          throw error;
        }
        if (!same(file, content)) {
          fs.rmSync(`${there}.complete`, { force: true });
          fs.rmSync(there, { recursive: true, force: true });
          pause(n * 20); // on Windows a virus scanner has a new file open for a moment
        }
      }
    }
  } finally {
    fs.rmSync(made, { recursive: true, force: true });
  }
  fs.writeFileSync(`${there}.complete`, `${sha256(content)} ${verified}\n`);
  return file;
}

// write makes an executable file that has reached the disk under its name.
function write(file, content) {
  const fd = fs.openSync(file, 'wx', 0o755);
  try {
    fs.writeFileSync(fd, content);
    fs.fchmodSync(fd, 0o755); // whatever the umask is
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
